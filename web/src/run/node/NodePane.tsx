import { useQuery, useQueryClient } from "@tanstack/react-query";

import { ProblemsTab, useAnnotations } from "@/annotations/ProblemsTab";
import { api, ApiError, messageOf } from "@/api/client";
import type { AttemptRecord, NodeDetail } from "@/api/schema";
import { EmptyState, LoadError } from "@/components/EmptyState";
import { IN_ORDER, Pending } from "@/components/InOrder";
import { LazyMarkdown } from "@/components/LazyMarkdown";
import { lazily } from "@/components/lazily";
import { Loading } from "@/components/Loading";
import { panelOf, TabList } from "@/components/Tabs";
import { setQuery, useLocation } from "@/lib/location";
import { visible } from "@/lib/visible";
import type { PipelineSession } from "@/run/live/session";
import { servicesOf } from "@/services/model/services";
import { useReports } from "@/results/live/useReports";
import { ROOT } from "@/run/model/paths";
import { isFailed, isFinished } from "@/run/model/states";
import type { Actions } from "@/run/actions/useActions";
import { Continuation } from "@/programs/Continuation";
import { NodeHeader } from "@/run/node/NodeHeader";
import styles from "@/run/node/NodePane.module.css";
import { OutputTab } from "@/logs/OutputTab";
import { OverviewTab } from "@/run/overview/OverviewTab";
import { ReportTab, useReport } from "@/results/ReportTab";
import shellStyles from "@/debug/Shell.module.css";
import { useOpenShell } from "@/debug/openShells";

const ShellPanel = lazily(async () => (await import("@/debug/ShellPanel")).ShellPanel, {
  placeholder: <p className={`${shellStyles.loading ?? ""} muted`}>Loading…</p>,
  ahead: false,
});

const LABELS = {
  output: "Output",
  report: "Report",
  problems: "Problems",
  results: "Results",
  services: "Services",
  files: "Files",
  history: "History",
  overview: "Overview",
  details: "Details",
};

// Only the output and the overview are part of the main script.
const ApprovalPanel = lazily(
  async () => (await import("@/approvals/ApprovalPanel")).ApprovalPanel,
  { placeholder: <Pending /> },
);
const DetailsTab = lazily(async () => (await import("@/run/node/DetailsTab")).DetailsTab);
const HistoryTab = lazily(async () => (await import("@/run/node/HistoryTab")).HistoryTab);
const FilesTab = lazily(async () => (await import("@/run/node/FilesTab")).FilesTab);
const ReportsSection = lazily(
  async () => (await import("@/results/ReportsSection")).ReportsSection,
);
const ResultsTab = lazily(async () => (await import("@/results/ResultsTab")).ResultsTab);
const ServicesTab = lazily(async () => (await import("@/services/ServicesTab")).ServicesTab);

const MergedTab = lazily(async () => (await import("@/logs/MergedTab")).MergedTab);

export interface NodePaneProps {
  session: PipelineSession;
  path: string;
  actions: Actions;
  onClose: () => void;
}

const REFRESH_MS = 3000;

/** The details of a node, fetched again when it changes. */
export function useNodeDetail(session: PipelineSession, path: string) {
  const known = session.model?.nodes.get(path);
  const seq = known?.seq ?? 0;
  const settled = session.model?.summary.settled !== false;
  return useQuery<NodeDetail>({
    queryKey: ["node", session.id, path, seq],
    queryFn: async ({ signal }) => {
      const detail = await api.node(session.id, path, signal);
      // The first request is sent before that of the tree, which may show a later state.
      const isOld = known !== undefined && detail.node.state !== known.state;
      return isOld ? api.node(session.id, path, signal) : detail;
    },
    // Wait reasons change without events.
    refetchInterval: ({ state: { data } }) =>
      settled || data === undefined || isFinished(data.node.state) ? false : REFRESH_MS,
    placeholderData: (before) => (before?.node.path === path ? before : undefined),
  });
}

export function NodePane({ session, path, actions, onClose }: NodePaneProps) {
  const detail = useNodeDetail(session, path);
  return (
    <section
      className={styles.pane}
      aria-label={`Node ${visible(path)}`}
      tabIndex={-1}
      data-node-pane
    >
      {detail.data === undefined ? (
        <NodeLoading error={detail.error} path={path} onRetry={() => void detail.refetch()} />
      ) : (
        <NodeTabs session={session} detail={detail.data} actions={actions} onClose={onClose} />
      )}
    </section>
  );
}

function NodeLoading(props: { error: Error | null; path: string; onRetry: () => void }) {
  const { error, path, onRetry } = props;
  if (error === null) return <Loading />;
  if (error instanceof ApiError && error.status === 404) {
    return (
      <EmptyState heading title={`Node ${visible(path)} not found`}>
        <p className="muted">It may appear after a Lazy has generated its tree.</p>
      </EmptyState>
    );
  }
  return <LoadError message={messageOf(error)} onRetry={onRetry} />;
}

type Tab = keyof typeof LABELS;

function NodeTabs({
  session,
  detail,
  actions,
  onClose,
}: Omit<NodePaneProps, "path"> & { detail: NodeDetail }) {
  const { query } = useLocation();
  const queries = useQueryClient();
  const isExec = detail.node.type === "Exec";
  const attempt = chosenAttempt(detail.node.attempts, query);
  const report = useReport(session.id, attempt);
  const mayHaveReport =
    query.get("tab") === "report" && report.isPending && (attempt?.started ?? null) !== null;
  const isNewest = attempt === detail.node.attempts.at(-1);
  const problems = useAnnotations(session.id, attempt, isExec && isNewest);
  const hasReport = (report.data?.length ?? 0) > 0 || mayHaveReport;
  // A pipeline with a single command has no group that could show its reports.
  const isSingleExec = isExec && detail.node.path === ROOT;
  const hasReports = (useReports(session, isSingleExec).data?.shown.length ?? 0) > 0;
  const offered =
    detail.node.approval !== null
      ? (["history", "details"] as const)
      : isExec
        ? tabsOfExec({
            report: hasReport,
            problems: (problems.data?.annotations.length ?? 0) > 0,
            results: attempt !== undefined && attempt.outputs !== null,
            services: attempt !== undefined && servicesOf(detail).length > 0,
            overview: isSingleExec && hasReports,
          })
        : (["overview", "output", "history", "details"] as const);
  const tab = offered.find((one) => one === query.get("tab")) ?? offered[0] ?? "details";
  const list = (
    <TabList<Tab>
      label="Node"
      tabs={offered}
      current={tab}
      onSelect={(one) => setQuery({ tab: one === offered[0] ? null : one }, true)}
    >
      {(one) => (
        <>
          {LABELS[one]}
          {one === "history" && detail.node.attempts.length > 1 ? (
            <span className={styles.count}> {detail.node.attempts.length}</span>
          ) : null}
        </>
      )}
    </TabList>
  );
  const { doc } = detail.node;
  return (
    <div className={`${styles.root ?? ""} ${IN_ORDER}`}>
      <NodeHeader
        session={session}
        detail={detail}
        actions={actions}
        onClose={onClose}
        tabs={isExec ? null : list}
      />
      {isExec ? <div className={styles.bar}>{list}</div> : null}
      {detail.node.approval === null ? null : (
        <ApprovalPanel
          id={session.id}
          node={detail.node}
          onDecided={() => void queries.invalidateQueries({ queryKey: ["node", session.id] })}
        />
      )}
      <ShellSlot id={session.id} path={detail.node.path} />
      <Continuation session={session} path={detail.node.path} isExec={isExec} />
      <div
        key={tab}
        {...panelOf(tab)}
        className={tab === "output" ? styles.output : `${styles.content ?? ""} ${IN_ORDER}`}
        // The output is a scrollable region of its own.
        tabIndex={tab === "output" ? -1 : 0}
      >
        {doc !== null && (tab === "overview" || tab === "details") ? (
          <div className={styles.doc}>
            <LazyMarkdown text={doc} below={1} />
          </div>
        ) : null}
        {tab === "output" && isExec ? <OutputTab session={session} detail={detail} /> : null}
        {tab === "output" && !isExec ? (
          <MergedTab session={session} path={detail.node.path} />
        ) : null}
        {tab === "report" ? <ReportTab id={session.id} attempt={attempt} /> : null}
        {tab === "problems" && attempt !== undefined ? (
          <ProblemsTab id={session.id} attempt={attempt} />
        ) : null}
        {tab === "results" && attempt !== undefined ? (
          <ResultsTab
            key={`${attempt.number} ${attempt.path}`}
            id={session.id}
            attempt={attempt}
            program={session.model?.summary.pipeline ?? null}
          />
        ) : null}
        {tab === "services" && attempt !== undefined ? (
          <ServicesTab id={session.id} attempt={attempt} services={servicesOf(detail)} />
        ) : null}
        {tab === "files" ? <FilesTab id={session.id} attempt={attempt} /> : null}
        {tab === "history" ? <HistoryTab session={session} detail={detail} /> : null}
        {tab === "overview" && isExec ? (
          <div className={styles.overview}>
            <ReportsSection session={session} failed={isFailed(detail.node.state)} />
          </div>
        ) : null}
        {tab === "overview" && !isExec ? (
          <OverviewTab session={session} detail={detail} actions={actions} />
        ) : null}
        {tab === "details" ? <DetailsTab detail={detail} /> : null}
      </div>
    </div>
  );
}

type Optional = "report" | "problems" | "results" | "services" | "overview";

function tabsOfExec(has: Record<Optional, boolean>): readonly Tab[] {
  const tabs: Tab[] = [
    "output",
    "report",
    "problems",
    "results",
    "services",
    "overview",
    "files",
    "history",
    "details",
  ];
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

/** The place of a node's shell. */
function ShellSlot({ id, path }: { id: string; path: string }) {
  const place = useOpenShell(id, path);
  return place === null ? null : <ShellPanel key={path} place={place} />;
}
