import { useMemo, useState } from "react";

import type { PipelineSummary } from "@/api/schema";
import { Button } from "@/components/Button";
import { EmptyState, LoadError } from "@/components/EmptyState";
import { Loading } from "@/components/Loading";
import { PipelineFrame } from "@/run/page/PipelineFrame";
import { useNow } from "@/components/useNow";
import { type PageProps, setQuery, useLocation } from "@/lib/location";
import { useLive, useLiveVersion } from "@/api/stream";
import { MAX_ATTEMPTS, TimelineSession } from "@/run/timeline/live/timeline";
import { useStaleOf } from "@/run/live/useStale";
import { useUsual } from "@/run/live/useUsual";
import { chartOf } from "@/run/timeline/model/chart";
import type { Opened } from "@/run/timeline/model/nestedLanes";
import { ROOT } from "@/run/model/paths";
import { Chart } from "@/run/timeline/Chart";
import styles from "@/run/timeline/TimelinePage.module.css";

const NONE: Opened = new Map();

/** The groups that the user opened or closed, until the view changes. */
function useOpened(view: string) {
  const [state, setState] = useState({ view, opened: NONE });
  const opened = state.view === view ? state.opened : NONE;
  const toggle = (path: string, open: boolean) =>
    setState({ view, opened: new Map(opened).set(path, open) });
  return { opened, toggle };
}

export function TimelinePage({ params }: PageProps) {
  const id = params.id ?? "";
  return (
    <PipelineFrame id={id} page="timeline" title="Timeline">
      {(summary) => <Opened summary={summary} />}
    </PipelineFrame>
  );
}

function Opened({ summary }: { summary: PipelineSummary }) {
  const { id } = summary.pipeline;
  const root = useLocation().query.get("root") ?? ROOT;
  const session = useLive(() => new TimelineSession(id, root), `${id} ${root}`);
  return session === null ? null : <Body session={session} summary={summary} root={root} />;
}

interface BodyProps {
  session: TimelineSession;
  summary: PipelineSummary;
  root: string;
}

function Body({ session, summary, root }: BodyProps) {
  const version = useLiveVersion(session);
  const { query } = useLocation();
  const byWorker = query.get("by") === "worker";
  const rows = query.get("rows");
  const [entered, setEntered] = useState(false);
  const enter = (path: string) => {
    setEntered(true);
    // If the group is already shown, show its nodes.
    setQuery(path === root ? { rows: "all" } : { root: path, rows: null });
  };
  const now = useNow(!summary.settled);
  const round = Number(query.get("round"));
  const only = Number.isInteger(round) && round > 0 ? round - 1 : null;
  const { rounds: times } = summary;
  const { opened, toggle } = useOpened(`${root} ${rows}`);
  const chart = useMemo(
    () => chartOf(session.timeline, { times, only, byWorker, root, rows, opened, now }),
    // The timeline is mutated in place; `version` tracks it.
    // eslint-disable-next-line react-hooks/exhaustive-deps
    [session, version, times, only, byWorker, root, rows, opened, now],
  );
  const usual = useUsual(summary);
  const stale = useStaleOf(summary.pipeline.id, summary, () => session.timeline.hasCache);

  if (session.error !== null && chart === null) {
    return <LoadError message={session.error} onRetry={session.retry} />;
  }
  if (chart === null) {
    return session.loading ? (
      <Loading />
    ) : (
      <EmptyState
        icon="clock"
        title="Nothing has run yet"
        text="A bar appears here for each attempt: low while it waits, high while it runs, with the critical path underlined."
        example={`conducto run ${summary.pipeline.id}`}
        docs="web"
      />
    );
  }
  return (
    <div className={styles.page}>
      <Chart
        key={only ?? "all"}
        id={summary.pipeline.id}
        chart={chart}
        only={only}
        usual={usual}
        stale={stale}
        byWorker={byWorker}
        takesFocus={entered}
        onEnter={enter}
        onToggle={toggle}
      />
      <p className={`${styles.notes} muted`}>
        {session.loading ? `Loading, ${session.timeline.size.toLocaleString("en")} so far… ` : ""}
        {session.truncated
          ? `Showing the first ${MAX_ATTEMPTS.toLocaleString("en")} attempts. To see others, select one and press “Show only its group”. `
          : ""}
        {root === ROOT ? null : (
          <>
            Showing only <code>{root}</code>.{" "}
            <Button variant="quiet" onClick={() => setQuery({ root: null, rows: null })}>
              Show all
            </Button>
          </>
        )}
      </p>
    </div>
  );
}
