import "@/pages/pipeline/ansi.css";
import "@/pages/pipeline/pipeline.css";

import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";

import { ApiError } from "@/api/client";
import { NotHere } from "@/components/PipelineFrame";
import { SignedOut } from "@/components/SignedOut";
import { type PageProps, setQuery, useLocation } from "@/lib/location";
import type { PipelineSession } from "@/live/session";
import { useSession, useSessionVersion } from "@/live/useSession";
import { toAddress } from "@/model/openGroups";
import { ROOT } from "@/model/paths";
import { tabTitle } from "@/model/titles";
import { HelpDialog } from "@/pages/pipeline/HelpDialog";
import { LinkBanner } from "@/pages/pipeline/LinkBanner";
import { NodePane } from "@/pages/pipeline/node/NodePane";
import { OrderDialogs } from "@/pages/pipeline/orders/OrderDialogs";
import { useOrders } from "@/pages/pipeline/orders/useOrders";
import { PipelineHeader } from "@/pages/pipeline/PipelineHeader";
import { TreePane } from "@/pages/pipeline/tree/TreePane";
import { usePageKeys } from "@/pages/pipeline/usePageKeys";

export function PipelinePage({ params }: PageProps) {
  const id = params.id ?? "";
  const session = useSession(id);
  return session === null ? null : <OpenedPipeline key={id} session={session} />;
}

function OpenedPipeline({ session }: { session: PipelineSession }) {
  useSessionVersion(session);
  const { model, loading, link } = session;
  useEffect(() => {
    const summary = model?.summary;
    document.title = `${summary === undefined ? session.id : tabTitle(summary)} · Conducto`;
  }, [model?.summary, session.id]);

  if (link.kind === "refused" && link.status === 401) return <SignedOut />;
  if (model !== null) return <Workbench session={session} />;
  const error = loading.kind === "failed" ? asError(loading.error) : null;
  if (error instanceof ApiError && error.status === 401) return <SignedOut />;
  return <NotHere id={session.id} page="tree" error={error} onRetry={() => session.retry()} />;
}

function asError(given: unknown): Error {
  return given instanceof Error ? given : new Error(String(given));
}

function Workbench({ session }: { session: PipelineSession }) {
  const { query } = useLocation();
  const node = query.get("node");
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [help, setHelp] = useState(false);
  const targets = selected.size > 0 ? [...selected] : [node ?? ROOT];
  const orders = useOrders(session);
  usePageKeys({ session, current: node, targets, orders, onHelp: () => setHelp(true) });

  // What was asked for while the agent was away is asked for again when it is back.
  const live = session.link.kind === "live";
  const client = useQueryClient();
  useEffect(() => {
    if (live) void client.invalidateQueries({ refetchType: "active" });
  }, [live, client]);

  // A link leads to a node wherever it is in the tree; what it has closed stays closed.
  const followed = useRef(false);
  useEffect(() => {
    if (node !== null) void session.reveal(node, !followed.current);
    followed.current = true;
  }, [session, node]);

  // Groups that were opened and closed stand in the address, without a step of the back button.
  const { choiceVersion } = session;
  useEffect(() => {
    setQuery({ ...toAddress(session.differingChoices(), node ?? ROOT) }, true);
  }, [session, choiceVersion, node]);

  return (
    <>
      <LinkBanner session={session} />
      <PipelineHeader session={session} orders={orders} onHelp={() => setHelp(true)} />
      <div className={node === null ? "work" : "work work-node"}>
        <TreePane
          session={session}
          current={node}
          selected={selected}
          onSelect={setSelected}
          orders={orders}
          targets={targets}
        />
        <NodePane
          session={session}
          path={node ?? ROOT}
          orders={orders}
          onClose={() => setQuery({ node: null, attempt: null })}
        />
      </div>
      <OrderDialogs session={session} orders={orders} />
      {help ? <HelpDialog onClose={() => setHelp(false)} /> : null}
    </>
  );
}
