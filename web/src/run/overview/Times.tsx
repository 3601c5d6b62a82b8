import { useQuery } from "@tanstack/react-query";

import { api } from "@/api/client";
import type { NodeView } from "@/api/schema";
import { Pending } from "@/components/InOrder";
import { useFirst } from "@/components/useFirst";
import { followLink, pipelineUrl } from "@/lib/location";
import { bytes, duration } from "@/lib/time";
import { visible } from "@/lib/visible";
import type { PipelineSession } from "@/run/live/session";
import { MAX_COMPARED, useUsual } from "@/run/live/useUsual";
import { fetchWholeTree } from "@/run/tree/live/wholeTree";
import { isWithin } from "@/run/model/paths";
import { shortPath } from "@/run/model/shortPath";
import {
  deviations,
  isNear,
  memoryPeaks,
  secondsOf,
  type SlowNode,
  slowest,
} from "@/run/model/slowest";
import { NO_COUNTS, total } from "@/run/model/states";
import shared from "@/run/overview/Overview.module.css";
import styles from "@/run/overview/Times.module.css";

const MAX_ROWS = 5;
/** With fewer commands, the tree shows all times. */
const MIN_COMMANDS = 3;
const MAX_PATH = 40;
const NO_NODES: readonly NodeView[] = [];

interface Props {
  session: PipelineSession;
  path: string;
  /** A section beside the slowest commands. */
  beside?: React.ReactNode;
}

/** The slowest commands of a settled pipeline, and those that differ from earlier runs. */
export function Times({ session, path, beside }: Props) {
  const { id, model } = session;
  const summary = model?.summary;
  const count = total(summary?.counts ?? NO_COUNTS);
  const { of: usual, runs, loading } = useUsual(summary);
  const nodes = useQuery({
    queryKey: ["times", id, summary?.seq],
    queryFn: async ({ signal }) => secondsOf(await fetchWholeTree(id, "newest", signal)),
    enabled: summary?.settled === true && usual.size > 0 && count <= MAX_COMPARED,
    staleTime: Infinity,
  });
  const ranked = useRanking(session, path);
  const first = useFirst(nodes.isLoading || ranked.isLoading || loading);
  const inside = new Map([...(nodes.data ?? [])].filter(([one]) => isWithin(one, path)));
  if (first) return <Pending />;
  const slow = slowest(secondsOf(ranked.time), usual, MAX_ROWS);
  if (slow.length < MIN_COMMANDS) {
    return beside === undefined ? null : <div className={shared.pair}>{beside}</div>;
  }
  const differing = deviations(inside, usual, MAX_ROWS);
  return (
    <div className={shared.pair}>
      <section className={shared.section}>
        <h3>
          Slowest nodes
          {usual.size === 0 ? null : <span className={shared.note}>line: median</span>}
        </h3>
        {slow.map((node) => (
          <Row key={node.path} id={id} node={node} text={duration(node.seconds)}>
            <SlowBar node={node} max={scaleOf(slow)} />
          </Row>
        ))}
      </section>
      {beside}
      <Memory id={id} nodes={ranked.memory} />
      {differing.length === 0 ? null : (
        <section className={shared.section}>
          <h3>
            Compared with the median
            <span className={shared.note}>{runs === 1 ? "1 run" : `${runs} runs`}</span>
          </h3>
          {differing.map((node) => (
            <Row
              key={node.path}
              id={id}
              node={node}
              text={`${node.difference > 0 ? "+" : "−"}${duration(Math.abs(node.difference))}`}
              slower={node.difference > 0}
            >
              <DifferenceBar
                difference={node.difference}
                max={Math.max(...differing.map((one) => Math.abs(one.difference)))}
              />
            </Row>
          ))}
        </section>
      )}
    </div>
  );
}

/** The commands below a group that took longest, and those that used most memory. */
function useRanking({ id, model }: PipelineSession, root: string) {
  const summary = model?.summary;
  const ranking = (order: "time" | "memory", enabled: boolean) => ({
    queryKey: ["ranking", id, root, order, summary?.seq],
    queryFn: async ({ signal }: { signal: AbortSignal }) =>
      (await api.tree(id, { root, order, attempts: "newest", limit: MAX_ROWS }, signal)).nodes,
    enabled: summary?.settled === true && enabled,
    staleTime: Infinity,
  });
  const time = useQuery(ranking("time", true));
  // Memory is measured for all commands of a container engine, and for none of processes.
  const memory = useQuery(ranking("memory", memoryPeaks(time.data ?? NO_NODES).length > 0));
  return {
    time: time.data ?? NO_NODES,
    memory: memory.data ?? NO_NODES,
    isLoading: time.isLoading || memory.isLoading,
  };
}

/** The commands that used most memory, against what they may use. */
function Memory({ id, nodes }: { id: string; nodes: readonly NodeView[] }) {
  const used = memoryPeaks(nodes);
  if (used.length === 0) return null;
  const max = Math.max(...used.map(({ peak }) => peak));
  return (
    <section className={shared.section}>
      <h3>
        Most memory
        <span className={shared.note}>at the peak</span>
      </h3>
      {used.map(({ path, peak, limit }) => {
        const text = limit === null ? bytes(peak) : `${bytes(peak)} of ${bytes(limit)}`;
        return (
          <p key={path} className={styles.row} title={`${visible(path)}: ${text}`}>
            <a href={pipelineUrl(id, path)} onClick={followLink} className="clip">
              {visible(shortPath(path, MAX_PATH))}
            </a>
            <SlowBar node={{ path, seconds: peak, median: null }} max={max} />
            <span className={`${styles.time} ${isNear(peak, limit) ? styles.slower : ""} number`}>
              {bytes(peak)}
            </span>
          </p>
        );
      })}
    </section>
  );
}

function scaleOf(nodes: readonly SlowNode[]): number {
  return Math.max(0.001, ...nodes.map((node) => Math.max(node.seconds, node.median ?? 0)));
}

interface RowProps {
  id: string;
  node: SlowNode;
  text: string;
  slower?: boolean;
  children: React.ReactNode;
}

function Row({ id, node, text, slower = false, children }: RowProps) {
  const usual = node.median === null ? "" : ` (median ${duration(node.median)})`;
  return (
    <p className={styles.row} title={`${visible(node.path)}: ${duration(node.seconds)}${usual}`}>
      <a href={pipelineUrl(id, node.path)} onClick={followLink} className="clip">
        {visible(shortPath(node.path, MAX_PATH))}
      </a>
      {children}
      <span className={`${styles.time} ${slower ? styles.slower : ""} number`}>{text}</span>
    </p>
  );
}

function SlowBar({ node, max }: { node: SlowNode; max: number }) {
  const share = (seconds: number) => (seconds / max) * 100;
  return (
    <svg className={styles.bar} aria-hidden>
      <rect className={styles.track} width="100%" height="100%" rx="2" />
      <rect className={styles.fill} width={`${share(node.seconds)}%`} height="100%" rx="2" />
      {node.median === null ? null : <Mark at={share(node.median)} />}
    </svg>
  );
}

function DifferenceBar({ difference, max }: { difference: number; max: number }) {
  const length = (Math.abs(difference) / max) * 50;
  return (
    <svg className={styles.bar} aria-hidden>
      <rect className={styles.track} width="100%" height="100%" rx="2" />
      <rect
        className={difference > 0 ? styles.over : styles.faster}
        x={`${difference > 0 ? 50 : 50 - length}%`}
        width={`${length}%`}
        height="100%"
      />
      <Mark at={50} />
    </svg>
  );
}

/** The line of the median. */
function Mark({ at }: { at: number }) {
  return <line className={styles.mark} x1={`${at}%`} x2={`${at}%`} y1="0" y2="100%" />;
}
