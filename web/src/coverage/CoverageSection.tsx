import { useQuery } from "@tanstack/react-query";

import { api } from "@/api/client";
import type { CoverageReport, PipelineSummary } from "@/api/schema";
import styles from "@/coverage/CoverageSection.module.css";
import { difference, percentText, trend } from "@/coverage/model/coverage";
import { followLink, pipelineUrl } from "@/lib/location";
import { beside } from "@/lib/references";
import { visible } from "@/lib/visible";

const REFRESH_MS = 10_000;
const SHOWN = 50;
const PIPELINES = 50;

/** The covered lines of a pipeline, if its commands wrote coverage files. */
export function CoverageSection({ summary }: { summary: PipelineSummary }) {
  const { id } = summary.pipeline;
  const { data } = useQuery({
    queryKey: ["coverage", id, summary.settled],
    queryFn: ({ signal }) => api.coverage(id, { limit: SHOWN }, signal),
    refetchInterval: summary.settled ? false : REFRESH_MS,
  });
  if (data === undefined || (data.lines === 0 && data.problems.length === 0)) return null;
  return (
    <section className={styles.coverage} aria-label="Coverage">
      <Head id={id} report={data} />
      <Trend id={id} settled={summary.settled} />
      {data.problems.map((problem) => (
        <p key={problem} className="muted">
          {visible(problem)}
        </p>
      ))}
      <details>
        <summary>Files</summary>
        <Files report={data} />
      </details>
    </section>
  );
}

function Head({ id, report }: { id: string; report: CoverageReport }) {
  const { base, covered, lines } = report;
  const counts = `${covered.toLocaleString("en")} of ${lines.toLocaleString("en")} lines`;
  return (
    <p>
      <strong>Coverage {percentText(report)}</strong> <span className="muted">{counts}</span>
      {base === null ? null : (
        <>
          {`, ${difference(report, base)} compared with `}
          <a href={pipelineUrl(beside(id, base.pipeline))} onClick={followLink}>
            {base.pipeline}
          </a>
          {base.branch === null ? null : ` of ${visible(base.branch)}`}
        </>
      )}
    </p>
  );
}

/** The coverage of the last pipelines of the program. */
function Trend({ id, settled }: { id: string; settled: boolean }) {
  const { data } = useQuery({
    queryKey: ["coverage-history", id, settled],
    queryFn: ({ signal }) => api.programTests(id, { limit: 1 }, signal),
  });
  const history = (data?.pipelines ?? []).filter(({ lines }) => lines > 0).slice(-PIPELINES);
  const first = history[0];
  const last = history.at(-1);
  if (first === undefined || last === undefined || first === last) return null;
  const text = `Coverage of the last ${history.length} pipelines, from ${percentText(first)} to ${percentText(last)}`;
  return (
    <svg className={styles.trend} viewBox="-2 -2 204 34" role="img" aria-label={text}>
      <title>{text}</title>
      <polyline points={trend(history, 200, 30)} />
    </svg>
  );
}

function Files({ report }: { report: CoverageReport }) {
  return (
    <>
      <div className={styles.scroll} tabIndex={0} role="region" aria-label="Files">
        <table className={styles.files}>
          <thead>
            <tr>
              <th scope="col">File</th>
              <th scope="col">Covered</th>
              <th scope="col">Before</th>
              <th scope="col">Lines that did not run</th>
            </tr>
          </thead>
          <tbody>
            {report.files.map((file) => (
              <tr key={file.file}>
                <th scope="row">{visible(file.file)}</th>
                <td>{percentText(file)}</td>
                <td>{file.before === null ? "" : `${file.before.toFixed(1)} %`}</td>
                <td className={styles.missed}>{file.missed.replaceAll(",", ", ")}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {report.more === 0 ? null : (
        <p className="muted">{`${report.more.toLocaleString("en")} more files`}</p>
      )}
    </>
  );
}
