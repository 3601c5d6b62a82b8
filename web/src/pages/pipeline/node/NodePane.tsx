import * as Tabs from "@radix-ui/react-tabs";
import { useQuery } from "@tanstack/react-query";

import { api, ApiError, messageOf } from "@/api/client";
import type { AttemptRecord, NodeDetail } from "@/api/schema";
import { EmptyState, LoadError } from "@/components/EmptyState";
import { Loading } from "@/components/Loading";
import { setQuery, useLocation } from "@/lib/location";
import type { PipelineSession } from "@/live/session";
import { useReports } from "@/live/useReports";
import { ROOT } from "@/model/paths";
import { isFailed, isFinished } from "@/model/states";
import type { Actions } from "@/pages/pipeline/actions/useActions";
import { AttemptsTab } from "@/pages/pipeline/node/AttemptsTab";
import { Continuation } from "@/pages/pipeline/node/Continuation";
import { DetailsTab } from "@/pages/pipeline/node/DetailsTab";
import { FilesTab } from "@/pages/pipeline/node/FilesTab";
import { NodeHeader } from "@/pages/pipeline/node/NodeHeader";
import { OutputTab } from "@/pages/pipeline/node/OutputTab";
import { OverviewTab } from "@/pages/pipeline/overview/OverviewTab";
import { ReportsSection } from "@/pages/pipeline/node/ReportsSection";
import { ReportTab, useReport } from "@/pages/pipeline/node/ReportTab";
import { ResultsTab } from "@/pages/pipeline/node/ResultsTab";
import { ShellSlot } from "@/pages/pipeline/shell/ShellButtons";

export interface NodePaneProps {
  session: PipelineSession;
  path: string;
  actions: Actions;
  onClose: () => void;
}

const REFRESH_MS = 3000;

/** The details of a node, fetched again when it changes. */
export function useNodeDetail(session: PipelineSession, path: string) {
  const seq = session.model?.nodes.get(path)?.seq ?? 0;
  const settled = session.model?.summary.settled !== false;
  return useQuery<NodeDetail>({
    queryKey: ["node", session.id, path, seq],
    queryFn: ({ signal }) => api.node(session.id, path, signal),
    // Wait reasons change without events.
    refetchInterval: ({ state: { data } }) =>
      settled || data === undefined || isFinished(data.node.state) ? false : REFRESH_MS,
    placeholderData: (before) => (before?.node.path === path ? before : undefined),
  });
}

export function NodePane({ session, path, actions, onClose }: NodePaneProps) {
  const detail = useNodeDetail(session, path);
  return (
    <section className="node-pane" aria-label={`Node ${path}`} tabIndex={-1}>
      {detail.data === undefined ? (
        <NodeLoading error={detail.error} path={path} onRetry={() => void detail.refetch()} />
      ) : (
        <>
          <NodeHeader session={session} detail={detail.data} actions={actions} onClose={onClose} />
          <ShellSlot id={session.id} path={detail.data.node.path} />
          <Continuation
            session={session}
            path={detail.data.node.path}
            isExec={detail.data.node.type === "Exec"}
          />
          <NodeTabs session={session} detail={detail.data} actions={actions} />
        </>
      )}
    </section>
  );
}

function NodeLoading(props: { error: Error | null; path: string; onRetry: () => void }) {
  const { error, path, onRetry } = props;
  if (error === null) return <Loading />;
  if (error instanceof ApiError && error.status === 404) {
    return (
      <EmptyState title={`Node ${path} not found`}>
        <p className="muted">It may appear after a Lazy has generated its tree.</p>
      </EmptyState>
    );
  }
  return <LoadError message={messageOf(error)} onRetry={onRetry} />;
}

const LABELS = {
  output: "Output",
  report: "Report",
  results: "Results",
  files: "Files",
  attempts: "Attempts",
  overview: "Overview",
  details: "Details",
} as const;
type Tab = keyof typeof LABELS;

function NodeTabs({
  session,
  detail,
  actions,
}: Omit<NodePaneProps, "path" | "onClose"> & { detail: NodeDetail }) {
  const { query } = useLocation();
  const isExec = detail.node.type === "Exec";
  const attempt = chosenAttempt(detail.node.attempts, query);
  const hasReport = (useReport(session.id, attempt).data?.length ?? 0) > 0;
  // A pipeline with a single command has no group that could show its reports.
  const isSingleExec = isExec && detail.node.path === ROOT;
  const hasReports = (useReports(session, isSingleExec).data?.shown.length ?? 0) > 0;
  const offered = isExec
    ? tabsOfExec({
        report: hasReport,
        results: attempt !== undefined && attempt.outputs !== null,
        overview: isSingleExec && hasReports,
      })
    : (["overview", "details"] as const);
  const tab = offered.find((one) => one === query.get("tab")) ?? offered[0] ?? "details";
  return (
    <Tabs.Root
      className="node-tabs"
      value={tab}
      onValueChange={(value) => setQuery({ tab: value === offered[0] ? null : value }, true)}
    >
      <Tabs.List className="tabs-list" aria-label="Node">
        {offered.map((one) => (
          <Tabs.Trigger key={one} value={one} className="tabs-tab">
            {LABELS[one]}
            {one === "attempts" ? ` ${detail.node.attempts.length}` : ""}
          </Tabs.Trigger>
        ))}
      </Tabs.List>
      <Tabs.Content value={tab} className={`node-content node-content-${tab}`} tabIndex={-1}>
        {tab === "output" ? <OutputTab session={session} detail={detail} /> : null}
        {tab === "report" ? <ReportTab id={session.id} attempt={attempt} /> : null}
        {tab === "results" && attempt !== undefined ? (
          <ResultsTab
            key={`${attempt.number} ${attempt.path}`}
            id={session.id}
            attempt={attempt}
            program={session.model?.summary.pipeline ?? null}
          />
        ) : null}
        {tab === "files" ? <FilesTab id={session.id} attempt={attempt} /> : null}
        {tab === "attempts" ? <AttemptsTab session={session} detail={detail} /> : null}
        {tab === "overview" && isExec ? (
          <div className="overview">
            <ReportsSection session={session} failed={isFailed(detail.node.state)} />
          </div>
        ) : null}
        {tab === "overview" && !isExec ? (
          <OverviewTab session={session} detail={detail} actions={actions} />
        ) : null}
        {tab === "details" ? <DetailsTab detail={detail} /> : null}
      </Tabs.Content>
    </Tabs.Root>
  );
}

type Optional = "report" | "results" | "overview";

function tabsOfExec(has: Record<Optional, boolean>): readonly Tab[] {
  const tabs: Tab[] = ["output", "report", "results", "overview", "files", "attempts", "details"];
  return tabs.filter((tab) => !(tab in has) || has[tab as Optional]);
}

/** The attempt in the URL, otherwise the newest. */
function chosenAttempt(
  attempts: readonly AttemptRecord[],
  query: URLSearchParams,
): AttemptRecord | undefined {
  const asked = Number(query.get("attempt"));
  return attempts.find((one) => one.number === asked) ?? attempts.at(-1);
}
