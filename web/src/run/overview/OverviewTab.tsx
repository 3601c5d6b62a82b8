import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useEffect, useRef, useState } from "react";

import { messageOf } from "@/api/client";
import type { Counts, Diagnosis, NodeDetail, NodeView } from "@/api/schema";
import { IN_CLOUD } from "@/api/deployment";
import { Button } from "@/components/Button";
import { CountsBar, CountsText } from "@/components/Counts";
import { LoadError } from "@/components/EmptyState";
import { QueryPlaceholder } from "@/components/QueryPlaceholder";
import { suspectsOf } from "@/diagnosis/model/diagnosis";
import { useDiagnosis } from "@/diagnosis/useDiagnosis";
import { WhatChanged } from "@/diagnosis/WhatChanged";
import { followLink, pipelineUrl } from "@/lib/location";
import { visible } from "@/lib/visible";
import { IN_ORDER, Pending } from "@/components/InOrder";
import { lazily } from "@/components/lazily";
import { useNow } from "@/components/useNow";
import { duration, moment } from "@/lib/time";
import { useThrottled } from "@/lib/useThrottled";
import { causesAt, findCauses } from "@/run/tree/live/search";
import type { PipelineSession } from "@/run/live/session";
import { useHistory } from "@/run/live/useUsual";
import { activeTime } from "@/run/model/activity";
import { earlierDurations, estimate } from "@/run/model/estimate";
import { groupFailures } from "@/run/model/failures";
import { headline } from "@/run/model/headline";
import { ROOT } from "@/run/model/paths";
import { displayState, failures, isFailed, NO_COUNTS, total } from "@/run/model/states";
import type { Actions } from "@/run/actions/useActions";
import { CellMap } from "@/run/overview/CellMap";
import { Outcome } from "@/run/overview/Outcome";
import styles from "@/run/overview/Overview.module.css";
import { Relatives } from "@/run/overview/Relatives";
import { Reasons } from "@/run/overview/Reasons";
import { Running } from "@/run/overview/Running";
import { Waiting } from "@/run/overview/Waiting";

const ReportsSection = lazily(
  async () => (await import("@/results/ReportsSection")).ReportsSection,
  { placeholder: <Pending /> },
);
const Cached = lazily(async () => (await import("@/run/overview/Cached")).Cached, {
  placeholder: <Pending />,
});
// Cloud only.
const Cost = lazily(async () => (await import("@/billing/Cost")).Cost, {
  placeholder: <Pending />,
});

const MAX_FAILURES = 500;
/** Up to this number of failures, the reasons say more than the cells of all commands. */
const MANY_FAILURES = 20;
/** Minimum interval between requests while failures increase, in ms. */
const REFRESH_MS = 1000;

interface Props {
  session: PipelineSession;
  detail: NodeDetail;
  actions: Actions;
}

/** An overview of a group: what happened, why, and what to do next. */
export function OverviewTab({ session, detail, actions }: Props) {
  const { path } = detail.node;
  const known = session.model?.nodes.get(path);
  const node = known === undefined || known.seq < 0 ? detail.node : known;
  const counts = node.counts ?? NO_COUNTS;
  const isActive = counts.running + counts.queued > 0;
  const isPending = counts.pending === total(counts); // nothing has times
  const hasFailed = !isSuccess(node) && (failures(counts) > 0 || isFailed(node.state));
  const found = useCauses(session, path, counts, node.state);
  const groups = found.data === undefined ? null : groupFailures(found.data);
  // Skipped failures count by their state, but are neither listed nor rerun.
  const allSkipped = failures(counts) > 0 && found.data?.length === 0 && !found.isPlaceholderData;
  const isRoot = path === ROOT;
  const summary = session.model?.summary;
  const hasStarted = !isPending || (summary?.started ?? null) !== null;
  const diagnosis = useDiagnosis(
    session.id,
    summary?.seq ?? 0,
    isRoot && hasFailed && !isActive && summary !== undefined,
  );
  const showsCells = !isRoot || isActive || !hasFailed || failures(counts) > MANY_FAILURES;
  return (
    <div className={`${styles.overview ?? ""} ${IN_ORDER}`}>
      <Headline session={session} node={node} path={path} reasons={groups?.length ?? null}>
        {hasFailed && !allSkipped && !isRoot ? (
          <Button disabled={actions.busy} onClick={() => void actions.rerunFailed(path)}>
            Rerun failed
          </Button>
        ) : null}
      </Headline>
      {diagnosis.data === undefined || !hasFailed ? null : <Suspects found={diagnosis.data} />}
      {allSkipped ? <p className={styles.empty}>All failed commands are skipped.</p> : null}
      {found.isError ? <LoadError message={messageOf(found.error)} /> : null}
      {found.isLoading ? <Pending /> : null}
      {groups === null || groups.length === 0 ? null : (
        <Reasons
          key={`reasons ${path}`}
          id={session.id}
          groups={groups}
          found={hasFailed ? diagnosis.data : undefined}
          actions={actions}
        />
      )}
      {isRoot && hasFailed && !allSkipped && !isActive ? (
        <Changed session={session} query={diagnosis} />
      ) : null}
      {isRoot && hasStarted ? <Cached session={session} actions={actions} /> : null}
      {isRoot && !hasFailed && hasStarted ? (
        <ReportsSection session={session} failed={false} />
      ) : null}
      {counts.running > 0 ? <Running session={session} path={path} count={counts.running} /> : null}
      {isActive ? <Waiting session={session} path={path} counts={counts} /> : null}
      {showsCells ? (
        <CellMap key={`cells ${path}`} session={session} path={path} counts={counts} />
      ) : null}
      {isRoot && hasFailed ? <ReportsSection session={session} failed /> : null}
      {isRoot && summary !== undefined ? <Relatives summary={summary} /> : null}
      {isActive || isPending ? null : (
        <WhenVisible key={`outcome ${path}`}>
          <Outcome session={session} path={path} succeeded={isSuccess(node)} />
        </WhenVisible>
      )}
      {isRoot && IN_CLOUD && summary?.pipeline.mode === "cloud" && !isPending ? (
        <WhenVisible>
          <Cost session={session} />
        </WhenVisible>
      ) : null}
    </div>
  );
}

/** What changed; its errors are shown in its place. */
function Changed({
  session,
  query,
}: {
  session: PipelineSession;
  query: ReturnType<typeof useDiagnosis>;
}) {
  if (query.data !== undefined) return <WhatChanged session={session} found={query.data} />;
  return <QueryPlaceholder query={query} rows={4} />;
}

/** The second sentence: the last good pipeline, and the suspects. */
function Suspects({ found }: { found: Diagnosis }) {
  const suspects = suspectsOf(found);
  if (found.baseline === null && suspects.length === 0) return null;
  return (
    <p className={`${styles.sub} ${styles.suspects ?? ""}`}>
      {found.baseline === null ? null : (
        <>
          All passed in{" "}
          <a href={pipelineUrl(found.baseline.id)} onClick={followLink}>
            {found.baseline.id.split("/").at(-1)}
          </a>
          .{" "}
        </>
      )}
      {suspects.length === 0
        ? null
        : `Suspects: ${suspects.map(({ text, count }) => `${visible(text)} for ${count}`).join(", ")}.`}
    </p>
  );
}

type Status = Pick<NodeView, "state" | "warning" | "counts">;

function isSuccess({ state }: Status): boolean {
  return state === "done";
}

function useCauses(
  session: PipelineSession,
  path: string,
  counts: Counts,
  state: NodeView["state"],
) {
  const { id, model } = session;
  const failed = useThrottled(failures(counts), REFRESH_MS);
  return useQuery({
    queryKey: ["failures", id, path, failed, state],
    queryFn: () =>
      path === ROOT ? causesAt(id, model?.summary.seq ?? 0) : findCauses(id, path, MAX_FAILURES),
    enabled: failures(counts) > 0 || isFailed(state),
    placeholderData: (before: NodeView[] | undefined) => before,
  });
}

function approvalsIn({ model }: PipelineSession, path: string): number {
  if (model === null) return 0;
  return [...model.within(path)].filter((one) => displayState(one) === "approval").length;
}

interface HeadlineProps {
  session: PipelineSession;
  node: Status;
  path: string;
  reasons: number | null;
  children: React.ReactNode;
}

function Headline({ session, node, path, reasons, children }: HeadlineProps) {
  const summary = session.model?.summary;
  const counts = node.counts ?? NO_COUNTS;
  const isActive = counts.running + counts.queued > 0;
  const estimated = useEstimate(session, path === ROOT && isActive);
  const text = headline({
    ...node,
    counts,
    armed: summary?.pipeline.armed !== false,
    settled: !isActive,
    remaining: estimated.remaining,
    approvals: counts.running === 0 && counts.queued > 0 ? approvalsIn(session, path) : 0,
    reasons,
  });
  return (
    <section className={`${styles.headline ?? ""} ${IN_ORDER}`}>
      <div className={styles.line}>
        <h2>{text}</h2>
        {isActive ? (
          <span className={`${styles.sub} number`}>
            {counts.done.toLocaleString("en")} of {total(counts).toLocaleString("en")} commands done
          </span>
        ) : null}
        {children}
      </div>
      {estimated.loading ? <Pending /> : null}
      {estimated.text === null ? null : <p className={`${styles.sub} number`}>{estimated.text}</p>}
      {isActive ? (
        <div className={styles.progress}>
          <CountsBar counts={counts} />
          <CountsText counts={counts} />
        </div>
      ) : null}
    </section>
  );
}

/** The remaining time of a running pipeline, from earlier runs. */
function useEstimate(session: PipelineSession, enabled: boolean) {
  const summary = session.model?.summary;
  const { history, loading } = useHistory(enabled ? summary : undefined);
  const now = useNow(enabled);
  const unknown = { loading: enabled && loading, remaining: null, text: null };
  if (!enabled || summary === undefined) return unknown;
  const took = activeTime(summary, now);
  const durations = earlierDurations(summary, history?.runs ?? []);
  const found = took === null ? null : estimate(took, durations);
  if (found === null) return unknown;
  const usual = `Median of ${durations.length === 1 ? "1 run" : `${durations.length} runs`}: ${duration(found.usual)}`;
  const { remaining } = found;
  return {
    loading,
    remaining,
    text:
      remaining === null
        ? `Takes longer than usual. ${usual}`
        : `Ends about ${moment(now + remaining)}. ${usual}`,
  };
}

/** Renders its content when its place is scrolled into view, and keeps it from then on. */
function WhenVisible({ children }: { children: ReactNode }) {
  const [seen, setSeen] = useState(false);
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const observer = new IntersectionObserver((entries) => {
      if (entries.some((entry) => entry.isIntersecting)) setSeen(true);
    });
    if (place.current !== null) observer.observe(place.current);
    return () => observer.disconnect();
  }, []);
  return seen ? children : <div ref={place} />;
}
