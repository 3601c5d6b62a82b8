import { useQuery } from "@tanstack/react-query";

import { api } from "@/api/client";
import type { AttemptRecord, NodeDetail } from "@/api/schema";
import { Command } from "@/components/Command";
import { EmptyState } from "@/components/EmptyState";
import { setQuery, useLocation } from "@/lib/location";
import { bytes, moment } from "@/lib/time";
import type { PipelineSession } from "@/run/live/session";
import { size } from "@/results/model/resources";
import { STREAM_LABELS, STREAM_VIEWS, STREAMS, type StreamView } from "@/logs/model/outputPlaces";
import { failureText, isFinished, stateLabel } from "@/run/model/states";
import { LogView } from "@/logs/LogView";
import styles from "@/logs/OutputTab.module.css";

const NONE = { all: "No output", stdout: "No output on stdout", stderr: "No output on stderr" };

const attemptName = (number: number, outcome: string, time: string | null) =>
  `Attempt ${number}: ${outcome}${time === null ? "" : `, ${time}`}`;

type Sizes = Record<StreamView, number>;
const REFRESH_MS = 1000;

/** The output of an attempt. */
export function OutputTab({ session, detail }: { session: PipelineSession; detail: NodeDetail }) {
  const { query } = useLocation();
  const { node } = detail;
  const requested = Number(query.get("attempt"));
  const attempt = node.attempts.find((one) => one.number === requested) ?? node.attempts.at(-1);
  if (attempt === undefined) return <NotRunYet detail={detail} />;
  const stream = STREAM_VIEWS.find((one) => one === query.get("stream")) ?? "all";
  return (
    <AttemptOutput
      key={`${node.path} ${attempt.number}`}
      id={session.id}
      detail={detail}
      attempt={attempt}
      stream={stream}
    />
  );
}

function NotRunYet({ detail }: { detail: NodeDetail }) {
  const { command } = detail.node;
  return (
    <div className={styles.never}>
      <p className="muted">Not run yet. Command:</p>
      {command === null ? null : <Command text={command} />}
    </div>
  );
}

function useSizes(id: string, attempt: AttemptRecord, running: boolean): Sizes | undefined {
  const sizes = useQuery({
    queryKey: ["log-sizes", id, attempt.path, attempt.number, attempt.state],
    queryFn: async ({ signal }) => {
      const chunks = await Promise.all(
        STREAMS.map((stream) =>
          api.log(
            id,
            { path: attempt.path, attempt: attempt.number, stream, limit: 1, offset: 0 },
            signal,
          ),
        ),
      );
      const [stdout, stderr] = [chunks[0]?.size ?? 0, chunks[1]?.size ?? 0];
      return { all: stdout + stderr, stdout, stderr };
    },
    refetchInterval: running ? REFRESH_MS : false,
  });
  return sizes.data;
}

interface Props {
  id: string;
  detail: NodeDetail;
  attempt: AttemptRecord;
  stream: StreamView;
}

function AttemptOutput({ id, detail, attempt, stream }: Props) {
  const running = !isFinished(attempt.state);
  const sizes = useSizes(id, attempt, running);
  const tools = (
    <>
      <AttemptChoice attempts={detail.node.attempts} chosen={attempt.number} />
      <StreamChoice chosen={stream} sizes={sizes} />
    </>
  );
  const isEmpty = sizes?.[stream] === 0 && !running;
  return (
    <div className={styles.output}>
      {attempt.message === null ? null : (
        <pre className={styles.message} tabIndex={0}>
          {attempt.message}
        </pre>
      )}
      {sizes === undefined || isEmpty ? <div className={styles.tools}>{tools}</div> : null}
      {isEmpty ? (
        <EmptyState
          icon="terminal"
          title={NONE[stream]}
          text="What the command prints appears here, line by line with its time."
        />
      ) : null}
      {sizes === undefined || isEmpty ? null : (
        <LogView
          key={stream}
          id={id}
          path={attempt.path}
          attempt={attempt.number}
          stream={stream}
          running={running}
          failed={attempt.state === "error"}
          command={attempt.command}
          started={attempt.started}
          hasErrors={sizes.stderr > 0}
          tools={tools}
          facts={factsOf(detail, attempt, sizes[stream])}
        />
      )}
    </div>
  );
}

/** Size of the output, peak memory and origin. */
function factsOf(
  { node }: NodeDetail,
  { peak_memory: peak }: AttemptRecord,
  shown: number,
): string[] {
  const facts = [bytes(shown)];
  if (peak !== null) facts.push(`peak ${size(peak)}`);
  if (node.file !== null) {
    const name = node.file.split("/").at(-1) ?? node.file;
    facts.push(node.line === null ? name : `${name}:${node.line}`);
  }
  return facts;
}

function StreamChoice({ chosen, sizes }: { chosen: StreamView; sizes: Sizes | undefined }) {
  return (
    <div role="group" aria-label="Stream" className={styles.streams}>
      {STREAM_VIEWS.map((one) => (
        <button
          key={one}
          type="button"
          aria-pressed={one === chosen}
          onClick={() => setQuery({ stream: one === "all" ? null : one }, true)}
        >
          {STREAM_LABELS[one]}
          {sizes === undefined || one === "all" ? null : (
            <span className={`number ${styles.size ?? ""}`}>{bytes(sizes[one])}</span>
          )}
        </button>
      ))}
    </div>
  );
}

function AttemptChoice(props: { attempts: readonly AttemptRecord[]; chosen: number }) {
  const { attempts, chosen } = props;
  const newest = attempts.at(-1)?.number;
  if (attempts.length < 2) return null;
  return (
    <select
      className={`field ${styles.attempt ?? ""}`}
      aria-label="Attempt"
      value={chosen}
      onChange={(event) =>
        setQuery({
          attempt: Number(event.target.value) === newest ? null : event.target.value,
        })
      }
    >
      {attempts.toReversed().map((one) => (
        <option key={one.number} value={one.number}>
          {attemptName(
            one.number,
            failureText(one.cause, one.exit_code) ?? stateLabel(one.state),
            one.started === null ? null : moment(one.started),
          )}
        </option>
      ))}
    </select>
  );
}
