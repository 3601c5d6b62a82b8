import { useQueries, useQuery } from "@tanstack/react-query";

import { api } from "@/api/client";
import type { LogLines, NodeView } from "@/api/schema";
import { Pending } from "@/components/InOrder";
import { Button } from "@/components/Button";
import { StaleBadge } from "@/components/StaleBadge";
import { StateIcon } from "@/components/StateIcon";
import { useNow } from "@/components/useNow";
import { plainText } from "@/lib/ansi";
import { followLink, pipelineUrl, setQuery } from "@/lib/location";
import { duration, plural } from "@/lib/time";
import { visible } from "@/lib/visible";
import { firstMatches } from "@/run/tree/live/search";
import type { PipelineSession } from "@/run/live/session";
import { useUsual } from "@/run/live/useUsual";
import { nameOf, pathsText } from "@/run/model/paths";
import { isLong, type UsualTime } from "@/run/model/usual";
import shared from "@/run/overview/Overview.module.css";
import styles from "@/run/overview/Running.module.css";

const REFRESH_MS = 2000;
/** Number of running commands whose output is shown, of those that are considered. */
const MAX_SHOWN = 6;
const MAX_FOUND = 40;
const LINES = 3;

interface Props {
  session: PipelineSession;
  path: string;
  count: number;
}

/** The commands that run longest, with the end of their output. */
export function Running({ session, path, count }: Props) {
  const { id } = session;
  const found = useQuery({
    queryKey: ["running", id, path],
    queryFn: () =>
      firstMatches(id, { root: path, state: "running", limit: MAX_FOUND, attempts: "newest" }),
    refetchInterval: REFRESH_MS,
    placeholderData: (before) => before,
  });
  const longest = (found.data ?? [])
    .toSorted((a, b) => startOf(a) - startOf(b))
    .slice(0, MAX_SHOWN);
  const usual = useUsual(session.model?.summary);
  const tails = useQueries({
    queries: longest.map((node) => ({
      queryKey: ["tail", id, node.path, node.attempts.at(-1)?.number ?? 0],
      queryFn: ({ signal }: { signal: AbortSignal }) =>
        api.logLines(id, { path: node.path, first: -LINES, count: LINES }, signal),
      refetchInterval: REFRESH_MS,
    })),
  });
  if (longest.length === 0) return found.isLoading ? <Pending /> : null;
  return (
    <section className={shared.section}>
      <h3>
        Running now
        <StaleBadge query={found} every={REFRESH_MS} />
        <span className={shared.note}>
          {count === 1 ? plural(count, "command") : `${plural(count, "command")}, longest first`}
        </span>
        <Button
          variant="quiet"
          className={styles.watch ?? ""}
          onClick={() =>
            setQuery({ tab: "output", nodes: pathsText(longest.map((node) => node.path)) })
          }
        >
          Follow their output
        </Button>
      </h3>
      <div className={styles.list}>
        {longest.map((node, at) => (
          <One
            key={node.path}
            id={id}
            node={node}
            time={usual.of.get(node.path)}
            tail={tails[at]?.data}
          />
        ))}
      </div>
    </section>
  );
}

function startOf(node: NodeView): number {
  return node.attempts.at(-1)?.started ?? Infinity;
}

interface OneProps {
  id: string;
  node: NodeView;
  time: UsualTime | undefined;
  tail: LogLines | undefined;
}

function One({ id, node, time, tail }: OneProps) {
  const now = useNow(true);
  const took = Math.max(0, now - Math.min(now, startOf(node)));
  const late = isLong(took, time);
  const median = time?.usual ?? null;
  const share = median === null || median === 0 ? null : Math.min(1, took / median);
  const lines = (tail?.lines ?? []).map(plainText);
  return (
    <article className={styles.one} aria-label={visible(node.path)}>
      <div className={styles.head}>
        <StateIcon state="running" label />
        <a
          href={pipelineUrl(id, node.path)}
          onClick={followLink}
          className="clip"
          title={visible(node.path)}
        >
          {visible(nameOf(node.path))}
        </a>
        <span className={`${styles.time} number`}>
          <span className={late ? styles.late : ""}>{duration(took)}</span>
          {median === null ? "" : `, usually ${duration(median)}`}
        </span>
      </div>
      <svg className={styles.track} viewBox="0 0 100 2" preserveAspectRatio="none" aria-hidden>
        <rect width="100" height="2" />
        <rect width={share === null ? 0 : share * 100} height="2" />
      </svg>
      <pre className={styles.tail}>
        {lines.map((line, at) => (
          <span key={at} className="clip">
            {visible(line.replaceAll("\t", "    ")) || " "}
          </span>
        ))}
        {lines.length < LINES ? <i className={styles.cursor} aria-hidden /> : null}
      </pre>
    </article>
  );
}
