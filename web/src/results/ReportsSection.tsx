import { useState } from "react";

import { messageOf } from "@/api/client";
import { Collapsible } from "@/components/Collapsible";
import { IN_ORDER, Pending } from "@/components/InOrder";
import { LazyMarkdown } from "@/components/LazyMarkdown";
import { useNow } from "@/components/useNow";
import { formatDate, formatDateTitle } from "@/lib/formatDate";
import { followLink, pipelineUrl } from "@/lib/location";
import { bytes, plural } from "@/lib/time";
import type { PipelineSession } from "@/run/live/session";
import { REPORT_BYTES, useReports, useReportText } from "@/results/live/useReports";
import { type Report, REPORTS } from "@/results/model/reports";
import styles from "@/results/ReportsSection.module.css";

/** Number of reports open at first; fewer next to failures. */
const OPEN_COUNT = 3;
const OPEN_COUNT_WITH_FAILURES = 1;

interface Props {
  session: PipelineSession;
  failed: boolean;
}

/** The reports of a pipeline. */
export function ReportsSection({ session, failed }: Props) {
  const reports = useReports(session);
  const { shown = [], more = 0, complete = true } = reports.data ?? {};
  if (reports.data === undefined && reports.error !== null) {
    return <p className="muted">{`Could not list reports: ${messageOf(reports.error)}`}</p>;
  }
  if (shown.length === 0) return reports.isLoading ? <Pending /> : null;
  const open = failed ? OPEN_COUNT_WITH_FAILURES : OPEN_COUNT;
  return (
    <section
      className={`${styles.reports ?? ""} ${failed ? (styles.beside ?? "") : ""} ${IN_ORDER}`}
      aria-label="Reports"
    >
      <h2>{plural(shown.length + more, "report")}</h2>
      {shown.map((report, place) => (
        <ReportCard
          key={report.entry.name}
          id={session.id}
          report={report}
          openAtFirst={place < open}
        />
      ))}
      {more === 0 && complete ? null : (
        <p className="muted">
          For the others, see the{" "}
          <a href={`${pipelineUrl(session.id)}/data?dir=${REPORTS}`} onClick={followLink}>
            {`files in ${REPORTS}/`}
          </a>
          .
        </p>
      )}
    </section>
  );
}

function ReportCard(props: { id: string; report: Report; openAtFirst: boolean }) {
  const { id, report, openAtFirst } = props;
  const { entry, title, node } = report;
  const [open, setOpen] = useState(openAtFirst);
  const now = useNow(true);
  const file = new URLSearchParams({ dir: REPORTS, file: entry.name });
  return (
    <article className={styles.report} aria-label={title}>
      <div className={styles.head}>
        <button
          type="button"
          className={styles.twist}
          aria-expanded={open}
          aria-label={`${open ? "Close" : "Open"} ${title}`}
          onClick={() => setOpen(!open)}
        >
          <svg viewBox="0 0 10 10" width="10" height="10" aria-hidden>
            <path d="M3 1.5L7 5 3 8.5" fill="none" stroke="currentColor" strokeWidth="1.5" />
          </svg>
        </button>
        <h3>
          {node === null ? (
            title
          ) : (
            <a href={pipelineUrl(id, node)} onClick={followLink} className="mono">
              {title}
            </a>
          )}
        </h3>
        <a
          className="muted"
          href={`${pipelineUrl(id)}/data?${file.toString()}`}
          onClick={followLink}
          title={`Written ${formatDateTitle(entry.modified, now)}`}
        >
          {formatDate(entry.modified, now)}
        </a>
      </div>
      {open ? <ReportText id={id} report={report} /> : null}
    </article>
  );
}

function ReportText({ id, report: { entry, title } }: { id: string; report: Report }) {
  const text = useReportText(id, entry);
  if (text.data === undefined) {
    if (text.error !== null) return <p className="muted">{messageOf(text.error)}</p>;
    return (
      <p className="muted">
        Loading…
        <Pending />
      </p>
    );
  }
  if (text.data.trim() === "") return <p className="muted">Empty report.</p>;
  return (
    <>
      <Collapsible label={title}>
        <LazyMarkdown text={text.data} below={3} />
      </Collapsible>
      {entry.size > REPORT_BYTES ? (
        <p className="muted">
          Showing the first {bytes(REPORT_BYTES)} of {bytes(entry.size)}; open the file to see the
          rest.
        </p>
      ) : null}
    </>
  );
}
