import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo, useRef, useState } from "react";

import { ApiError } from "@/api/client";
import { AgentBanner } from "@/components/AgentBanner";
import { useHelpOpen } from "@/components/help";
import { SignedOut } from "@/components/SignedOut";
import { useTitle } from "@/components/useTitle";
import { type PageProps, setQuery, useLocation } from "@/lib/location";
import { lazily } from "@/components/lazily";
import type { PipelineSession } from "@/run/live/session";
import { useLiveVersion } from "@/api/stream";
import { useSession } from "@/run/live/useSession";
import { toQuery } from "@/run/timeline/model/openGroups";
import { ROOT } from "@/run/model/paths";
import { tabTitle } from "@/run/model/titles";
import { type Actions, type ActionTarget, useActions } from "@/run/actions/useActions";
import { Announcer } from "@/run/page/Announcer";
import { PipelineLoading } from "@/run/page/PipelineFrame";
import { PipelineHeader } from "@/run/page/PipelineHeader";
import { NodePane } from "@/run/node/NodePane";
import { Panes } from "@/run/page/Panes";
import { TreePane } from "@/run/tree/TreePane";
import { usePageKeys } from "@/run/page/usePageKeys";
import { useTreeFocus } from "@/run/page/useTreeFocus";
import bannerStyles from "@/components/Banner.module.css";
import { takeTour } from "@/lib/tour";
import { ConfirmAction } from "@/run/actions/ConfirmAction";

const ModifyDialog = lazily(async () => (await import("@/run/actions/ModifyDialog")).ModifyDialog, {
  placeholder: null,
});

const Tour = lazily(async () => (await import("@/components/Tour")).Tour, {
  placeholder: null,
  ahead: false,
});

export function PipelinePage({ params }: PageProps) {
  const id = params.id ?? "";
  const session = useSession(id);
  return session === null ? null : <OpenedPipeline key={id} session={session} />;
}

function OpenedPipeline({ session }: { session: PipelineSession }) {
  useLiveVersion(session);
  const { model, loading, link } = session;
  useTitle(model === null ? session.id : tabTitle(model.summary));

  if (link.kind === "refused" && link.status === 401) return <SignedOut />;
  if (model !== null) return <Workbench session={session} />;
  const error = loading.kind === "failed" ? asError(loading.error) : null;
  if (error instanceof ApiError && error.status === 401) return <SignedOut />;
  return (
    <PipelineLoading id={session.id} view="tree" error={error} onRetry={() => session.retry()} />
  );
}

function asError(given: unknown): Error {
  return given instanceof Error ? given : new Error(String(given));
}

function useTarget(session: PipelineSession) {
  return useMemo(
    () => ({
      id: session.id,
      summary: () => session.model?.summary,
      isSkipped: (path: string) => session.model?.nodes.get(path)?.skipped === true,
    }),
    [session],
  );
}

function Workbench({ session }: { session: PipelineSession }) {
  const { query } = useLocation();
  const node = query.get("node");
  const showsTree = query.get("view") === "tree" && node === null;
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const help = useHelpOpen();
  const targets = selected.size > 0 ? [...selected] : [node ?? ROOT];
  const target = useTarget(session);
  const actions = useActions(target);
  usePageKeys({ session, current: node, targets, actions });
  useTreeFocus(help || actions.modifying !== null || actions.confirmation !== null);

  // Refetch everything after a reconnection.
  const live = session.link.kind === "live";
  const client = useQueryClient();
  const wasLive = useRef(false);
  useEffect(() => {
    if (live && wasLive.current) void client.invalidateQueries({ refetchType: "active" });
    wasLive.current ||= live;
  }, [live, client]);

  // Open a node from the URL wherever it is in the tree. Groups that the link closes stay closed.
  const followed = useRef(false);
  useEffect(() => {
    if (node !== null) void session.reveal(node, !followed.current);
    followed.current = true;
  }, [session, node]);

  // Keep the open groups in the URL, without a history entry.
  const { choiceVersion } = session;
  useEffect(() => {
    setQuery({ ...toQuery(session.nonDefaultChoices(), node ?? ROOT) }, true);
  }, [session, choiceVersion, node]);

  const summary = session.model?.summary;
  return (
    <>
      <AgentBanner id={session.id} />
      <LinkBanner session={session} />
      {summary === undefined ? null : (
        <PipelineHeader
          summary={summary}
          view={showsTree ? "tree" : "overview"}
          actions={actions}
          node={node !== null && node !== ROOT}
        />
      )}
      <FirstTour />
      <Panes
        shown={showsTree ? "tree" : "node"}
        tree={
          <TreePane
            session={session}
            current={node}
            selected={selected}
            onSelect={setSelected}
            actions={actions}
            targets={targets}
          />
        }
        node={
          <NodePane
            session={session}
            path={node ?? ROOT}
            actions={actions}
            onClose={() => setQuery({ node: null, attempt: null, tab: null, view: "tree" })}
          />
        }
      />
      <Announcer session={session} path={node ?? ROOT} />
      <ActionDialogs session={session} target={target} actions={actions} />
    </>
  );
}

/** A banner for a tree that will not be live again. */
function LinkBanner({ session }: { session: PipelineSession }) {
  const { link } = session;
  if (link.kind !== "refused") return null;
  return (
    <div className={`${bannerStyles.banner} ${bannerStyles.error}`} role="status">
      <span>{`Disconnected: ${link.message}`}</span>
    </div>
  );
}

/** Hints on the first pipeline of a newcomer. */
function FirstTour() {
  const [shown, setShown] = useState(takeTour);
  return shown ? <Tour onClose={() => setShown(false)} /> : null;
}

interface DialogProps {
  session: PipelineSession;
  target: ActionTarget;
  actions: Actions;
}

/** Confirmation and edit dialogs of actions. */
function ActionDialogs({ session, target, actions }: DialogProps) {
  const { modifying, dismiss } = actions;
  return (
    <>
      <ConfirmAction actions={actions} />
      {modifying === null ? null : (
        <ModifyDialog session={session} target={target} paths={modifying} onClose={dismiss} />
      )}
    </>
  );
}
