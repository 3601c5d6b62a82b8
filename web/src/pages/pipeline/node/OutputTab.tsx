import { useQuery } from "@tanstack/react-query";

import { api, type LogLinesQuery } from "@/api/client";
import type { AttemptRecord, NodeDetail } from "@/api/schema";
import { Command } from "@/components/Command";
import { EmptyState } from "@/components/EmptyState";
import { setQuery, useLocation } from "@/lib/location";
import { bytes, moment } from "@/lib/time";
import type { PipelineSession } from "@/live/session";
import { failureText, isFinished, stateLabel } from "@/model/states";
import { LogView } from "@/pages/pipeline/node/LogView";

type Stream = NonNullable<LogLinesQuery["stream"]>;
const STREAMS: readonly Stream[] = ["stdout", "stderr"];
const REFRESH_MS = 1000;

/** The output of an attempt. */
export function OutputTab({ session, detail }: { session: PipelineSession; detail: NodeDetail }) {
  const { query } = useLocation();
  const { node } = detail;
  const requested = Number(query.get("attempt"));
  const attempt = node.attempts.find((one) => one.number === requested) ?? node.attempts.at(-1);
  if (attempt === undefined) return <NotRunYet detail={detail} />;
  const stream = STREAMS.find((one) => one === query.get("stream")) ?? null;
  return (
    <AttemptOutput
      key={`${node.path} ${attempt.number}`}
      session={session}
      attempts={node.attempts}
      attempt={attempt}
      asked={stream}
    />
  );
}

function NotRunYet({ detail }: { detail: NodeDetail }) {
  const { command } = detail.node;
  return (
    <div className="never">
      <p className="muted">Not run yet. Command:</p>
      {command === null ? null : <Command text={command} />}
    </div>
  );
}

/** stderr for failures or if it is the only output, otherwise stdout. */
function defaultStream(attempt: AttemptRecord, sizes?: Record<Stream, number>): Stream {
  if (sizes === undefined || sizes.stderr === 0) return "stdout";
  return attempt.state === "error" || sizes.stdout === 0 ? "stderr" : "stdout";
}

interface Props {
  session: PipelineSession;
  attempts: readonly AttemptRecord[];
  attempt: AttemptRecord;
  /** The stream in the URL; null for the default. */
  asked: Stream | null;
}

function AttemptOutput({ session, attempts, attempt, asked }: Props) {
  const running = !isFinished(attempt.state);
  const sizes = useQuery({
    queryKey: ["log-sizes", session.id, attempt.path, attempt.number, attempt.state],
    queryFn: async ({ signal }) => {
      const chunks = await Promise.all(
        STREAMS.map((stream) =>
          api.log(
            session.id,
            { path: attempt.path, attempt: attempt.number, stream, limit: 1, offset: 0 },
            signal,
          ),
        ),
      );
      return { stdout: chunks[0]?.size ?? 0, stderr: chunks[1]?.size ?? 0 };
    },
    refetchInterval: running ? REFRESH_MS : false,
  });
  const stream = asked ?? defaultStream(attempt, sizes.data);
  return (
    <div className="output">
      <div className="output-bar">
        <AttemptChoice attempts={attempts} chosen={attempt.number} />
        <div role="group" aria-label="Stream" className="output-streams">
          {STREAMS.map((one) => (
            <button
              key={one}
              type="button"
              className="button button-plain"
              aria-pressed={one === stream}
              onClick={() => setQuery({ stream: one }, true)}
            >
              {one}
              <span className="muted number">
                {sizes.data === undefined ? "" : bytes(sizes.data[one])}
              </span>
            </button>
          ))}
        </div>
      </div>
      {attempt.message === null ? null : (
        <pre className="output-message" tabIndex={0}>
          {attempt.message}
        </pre>
      )}
      <details className="output-command">
        <summary>
          <code className="clip">$ {attempt.command.split("\n")[0]}</code>
        </summary>
        <Command text={attempt.command} />
      </details>
      {sizes.data === undefined ? null : sizes.data[stream] === 0 && !running ? (
        <EmptyState title={`No output on ${stream}`} />
      ) : (
        <LogView
          key={stream}
          id={session.id}
          path={attempt.path}
          attempt={attempt.number}
          stream={stream}
          running={running}
        />
      )}
    </div>
  );
}

function AttemptChoice(props: { attempts: readonly AttemptRecord[]; chosen: number }) {
  const { attempts, chosen } = props;
  const newest = attempts.at(-1)?.number;
  if (attempts.length < 2) return null;
  return (
    <select
      className="field"
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
          attempt {one.number}: {failureText(one.cause, one.exit_code) ?? stateLabel(one.state)}
          {one.started === null ? "" : `, ${moment(one.started)}`}
        </option>
      ))}
    </select>
  );
}
