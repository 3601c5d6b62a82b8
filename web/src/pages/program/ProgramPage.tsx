import type { ReactNode } from "react";

import { messageOf } from "@/api/client";
import type { PipelineSummary } from "@/api/schema";
import { EmptyState, LoadError } from "@/components/EmptyState";
import { Loading } from "@/components/Loading";
import { PageStatus } from "@/components/PageStatus";
import { StateLabel } from "@/components/StateIcon";
import { useTitle } from "@/components/useTitle";
import { followLink, pipelineUrl, useLocation } from "@/lib/location";
import { duration, moment } from "@/lib/time";
import { visible } from "@/lib/visible";
import { flakyNodes, totalsOf } from "@/model/programRuns";
import { pipelineState } from "@/model/pipelineStatus";
import { CompareRuns } from "@/pages/program/CompareRuns";
import styles from "@/pages/program/ProgramPage.module.css";
import { RunChart } from "@/pages/program/RunChart";
import { useFailedPaths, useProgram } from "@/pages/program/useProgram";
import { PROGRAM } from "@/strings";

/** Pipelines in the chart, pipelines searched for flaky nodes, and flaky nodes shown. */
const CHARTED = 60;
const SEARCHED = 20;
const FLAKY = 10;

/** The history of a program: pass rate, times, flaky nodes, and a comparison of two pipelines. */
export function ProgramPage() {
  const { query } = useLocation();
  const title = query.get("title") ?? "";
  const { data, error, refetch } = useProgram(title, query.get("program"));
  useTitle(title);
  return (
    <PageStatus error={error}>
      <div className={`page ${styles.page}`}>
        <h1 className="clip">{title}</h1>
        {data !== undefined ? (
          <Body pipelines={data} />
        ) : error === null ? (
          <Loading rows={8} />
        ) : (
          <LoadError message={messageOf(error)} onRetry={() => void refetch()} />
        )}
      </div>
    </PageStatus>
  );
}

function Body({ pipelines }: { pipelines: readonly PipelineSummary[] }) {
  const totals = totalsOf(pipelines);
  const newest = pipelines[0];
  if (newest === undefined) return <EmptyState title={PROGRAM.none} />;
  return (
    <>
      <dl className={styles.totals}>
        <Total label={PROGRAM.passRate} note={PROGRAM.ofPipelines(totals.finished)}>
          {totals.finished === 0 ? "–" : `${Math.floor((totals.passed / totals.finished) * 100)}%`}
        </Total>
        <Total
          label={PROGRAM.medianTime}
          note={totals.p95 === null ? "" : PROGRAM.p95(duration(totals.p95))}
        >
          {totals.median === null ? "–" : duration(totals.median)}
        </Total>
        <Total label={PROGRAM.newest} note={moment(newest.pipeline.created)}>
          <a href={pipelineUrl(newest.pipeline.id)} onClick={followLink}>
            <StateLabel state={pipelineState(newest)} />
          </a>
        </Total>
      </dl>
      <section aria-labelledby="times">
        <h2 id="times">{PROGRAM.times}</h2>
        <RunChart pipelines={pipelines.slice(0, CHARTED).toReversed()} median={totals.median} />
      </section>
      <div className={styles.columns}>
        <Flaky pipelines={pipelines} />
        {pipelines.length < 2 ? null : <CompareRuns pipelines={pipelines} />}
      </div>
    </>
  );
}

interface TotalProps {
  label: string;
  note: string;
  children: ReactNode;
}

function Total({ label, note, children }: TotalProps) {
  return (
    <div>
      <dt>{label}</dt>
      <dd className={styles.value}>{children}</dd>
      <dd className={styles.note}>{note}</dd>
    </div>
  );
}

function Flaky({ pipelines }: { pipelines: readonly PipelineSummary[] }) {
  const searched = pipelines
    .filter((one) => one.settled && one.started !== null)
    .slice(0, SEARCHED)
    .toReversed();
  const { data } = useFailedPaths(searched);
  const found = data === undefined ? [] : flakyNodes(data);
  const newest = searched.at(-1)?.pipeline.id ?? "";
  return (
    <section aria-labelledby="flaky">
      <h2 id="flaky">{PROGRAM.flaky}</h2>
      {found.length === 0 ? (
        <p className="muted">{data === undefined ? PROGRAM.searching : PROGRAM.noFlaky}</p>
      ) : (
        <table className="list">
          <thead>
            <tr>
              <th>{PROGRAM.node}</th>
              <th>{PROGRAM.failed}</th>
              <th>{PROGRAM.pipelines}</th>
            </tr>
          </thead>
          <tbody>
            {found.slice(0, FLAKY).map(({ path, count, failed }) => (
              <tr key={path}>
                <th scope="row" className="mono">
                  <a href={pipelineUrl(newest, path)} onClick={followLink}>
                    {visible(path)}
                  </a>
                </th>
                <td>{PROGRAM.failedOf(count, failed.length)}</td>
                <td>
                  <span className={styles.cells} aria-hidden>
                    {failed.map((one, place) => (
                      <span key={place} className={one ? styles.bad : styles.good} />
                    ))}
                  </span>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}
