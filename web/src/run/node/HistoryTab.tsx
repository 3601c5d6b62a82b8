import { keepPreviousData, useQuery } from "@tanstack/react-query";

import { api } from "@/api/client";
import type { HistoryOfNode, NodeDetail, RunOfNode } from "@/api/schema";
import { EmptyState } from "@/components/EmptyState";
import { QueryPlaceholder } from "@/components/QueryPlaceholder";
import { StateIcon } from "@/components/StateIcon";
import { followLink, pipelineUrl, useLocation } from "@/lib/location";
import { day, duration, moment } from "@/lib/time";
import programStyles from "@/programs/ProgramPage.module.css";
import { type ChartedRun, RunChart } from "@/programs/RunChart";
import { DEFAULT_COUNT, RunCount, Total } from "@/programs/RunNumbers";
import { size } from "@/results/model/resources";
import type { PipelineSession } from "@/run/live/session";
import { AttemptsTab } from "@/run/node/AttemptsTab";
import {
  changedText,
  factorText,
  failuresOf,
  failuresText,
  headline,
  MIN_RUNS,
} from "@/run/node/model/nodeRuns";
import { isLong } from "@/run/model/usual";
import styles from "@/run/node/HistoryTab.module.css";

interface Props {
  session: PipelineSession;
  detail: NodeDetail;
}

/** The attempts of a command in this pipeline, and the runs of a node in those before. */
export function HistoryTab({ session, detail }: Props) {
  const isExec = detail.node.type === "Exec";
  return (
    <>
      {isExec ? <AttemptsTab session={session} detail={detail} /> : null}
      <Earlier session={session} detail={detail} />
    </>
  );
}

function Earlier({ session, detail: { node } }: Props) {
  const { query } = useLocation();
  const limit = Number(query.get("last") ?? "") || DEFAULT_COUNT;
  const known = session.model?.nodes.get(node.path);
  const history = useQuery({
    // Read again when the node has changed.
    queryKey: ["node-runs", session.id, node.path, limit, known?.state, node.attempts.length],
    queryFn: ({ signal }) => api.nodeRuns(session.id, { path: node.path, limit }, signal),
    placeholderData: keepPreviousData,
  });
  const { data } = history;
  return (
    <section className={styles.history} aria-label="Earlier pipelines">
      {data === undefined ? (
        <QueryPlaceholder query={history} rows={6} />
      ) : (
        <History
          found={data}
          id={session.id}
          asked={limit}
          // The attempts of a command have an empty state themselves.
          quiet={node.type === "Exec" && node.attempts.length === 0}
        />
      )}
    </section>
  );
}

interface HistoryProps {
  found: HistoryOfNode;
  id: string;
  asked: number;
  /** Say nothing if no earlier pipeline ran the node. */
  quiet: boolean;
}

function History({ found, id, asked, quiet }: HistoryProps) {
  const { runs, path } = found;
  const current = runs.find(({ pipeline }) => pipeline === id);
  const others = runs.length - (current === undefined ? 0 : 1);
  if (others === 0) {
    return quiet ? null : (
      <EmptyState
        inline
        icon="compare"
        title="No earlier pipeline ran this node"
        text="Its usual time, its outcomes, and what changed before each run appear here after the next pipeline of this program."
        docs="concepts/attempts-and-history"
      />
    );
  }
  const now = current?.seconds ?? null;
  return (
    <>
      <h2 className={isLong(now, found) ? styles.long : undefined}>{headline(found, now)}</h2>
      <Since found={found} />
      {runs.length < MIN_RUNS ? null : <Facts found={found} now={now} />}
      <div className={programStyles.head}>
        <h3>Time of each pipeline</h3>
        <span className={programStyles.note}>crosses mark failed runs</span>
        <RunCount all={runs.length < asked ? runs.length : asked + 1} count={asked} />
      </div>
      <RunChart
        label="Time in each pipeline"
        runs={runs.map((run) => chartedRun(run, path)).toReversed()}
        median={found.usual}
        since={changeOf(found)}
      />
      <Runs found={found} id={id} />
      {found.complete ? null : (
        <p className="muted">Older pipelines were not read: that would take too long.</p>
      )}
    </>
  );
}

function chartedRun(run: RunOfNode, path: string): ChartedRun {
  const { pipeline, created, state, seconds } = run;
  return { id: pipeline, created, state, value: seconds, href: pipelineUrl(pipeline, path) };
}

/** The run since which the node takes another time, for the chart. */
function changeOf({ runs, since, before }: HistoryOfNode): { id: string; text: string } | null {
  const run = runs.find(({ pipeline }) => pipeline === since);
  if (run === undefined || before === null) return null;
  const word = (run.seconds ?? 0) > before ? "slower" : "faster";
  return { id: run.pipeline, text: `${word} since ${day(run.created)}` };
}

/** The pipeline from which on the node takes another time, and what changed then. */
function Since({ found }: { found: HistoryOfNode }) {
  const { runs, since, before, path } = found;
  const place = runs.findIndex(({ pipeline }) => pipeline === since);
  const run = runs[place];
  if (run === undefined || before === null) return null;
  const changed = changedText(run, runs[place + 1]);
  const slower = (run.seconds ?? 0) > before;
  return (
    <p>
      {`${slower ? "Slower" : "Faster"} since `}
      <a href={pipelineUrl(run.pipeline, path)} onClick={followLink}>
        {run.pipeline}
      </a>
      {`, ${moment(run.created)}; before, ${duration(before)}.`}
      {changed === null || changed === "nothing" ? null : ` Changed: ${changed}.`}
    </p>
  );
}

function Facts({ found, now }: { found: HistoryOfNode; now: number | null }) {
  const { usual, slow, runs } = found;
  const failures = failuresOf(runs);
  const peaks = runs.flatMap(({ peak_memory: peak }) => peak ?? []);
  return (
    <dl className={programStyles.totals}>
      <Total label="This run" note={factorText(now, found)}>
        {now === null ? "–" : duration(now)}
      </Total>
      <Total label="Usual" note={slow === null ? "" : `95% within ${duration(slow)}`}>
        {usual === null ? "–" : duration(usual)}
      </Total>
      <Total label="Failure rate" note={failuresText(failures)}>
        {failures.of === 0 ? "–" : `${Math.round((100 * failures.failed) / failures.of)}%`}
      </Total>
      {peaks.length === 0 ? null : (
        <Total label="Peak memory" note="the most of these runs">
          {size(Math.max(...peaks))}
        </Total>
      )}
    </dl>
  );
}

function Runs({ found, id }: { found: HistoryOfNode; id: string }) {
  const { runs, path, type } = found;
  const isExec = type === "Exec";
  return (
    <table className={`list ${styles.runs ?? ""}`}>
      <thead>
        <tr>
          <th>Pipeline</th>
          {isExec ? <th>Changed before it</th> : null}
          <th className="list-number">Time</th>
          {isExec ? <th className={`list-number ${styles.attempts ?? ""}`}>Attempts</th> : null}
        </tr>
      </thead>
      <tbody>
        {runs.map((run, place) => (
          <tr key={run.pipeline}>
            <th scope="row">
              <StateIcon state={run.from_cache === null ? run.state : "cached"} label />{" "}
              <a href={pipelineUrl(run.pipeline, path)} onClick={followLink}>
                {run.pipeline}
              </a>{" "}
              <span className="muted">
                {run.pipeline === id ? "this one" : moment(run.created)}
              </span>
            </th>
            {isExec ? (
              <td className={styles.changed}>
                {place === runs.length - 1 ? "" : (changedText(run, runs[place + 1]) ?? "–")}
              </td>
            ) : null}
            <td className={`list-number ${isLong(run.seconds, found) ? styles.long : ""}`}>
              {run.seconds === null || run.from_cache !== null ? "–" : duration(run.seconds)}
            </td>
            {isExec ? (
              <td className={`list-number ${styles.attempts ?? ""}`}>{run.attempts}</td>
            ) : null}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
