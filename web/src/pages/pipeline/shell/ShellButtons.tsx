import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense } from "react";

import { api } from "@/api/client";
import type { NodeDetail } from "@/api/schema";
import { Button } from "@/components/Button";
import { useLocation } from "@/lib/location";
import type { PipelineSession } from "@/live/session";
import { openShell, useOpenShell } from "@/pages/pipeline/shell/openShells";

const ShellPanel = lazy(async () => ({
  default: (await import("@/pages/pipeline/shell/ShellPanel")).ShellPanel,
}));

interface Props {
  session: PipelineSession;
  detail: NodeDetail;
}

/** Buttons that open a debug shell in the page, if the agent allows it. */
export function ShellButtons({ session, detail: { node } }: Props) {
  const { id, model } = session;
  const { query } = useLocation();
  const agent = useQuery({
    queryKey: ["agent", "shell"],
    queryFn: ({ signal }) => api.agent(signal),
    staleTime: Infinity,
  });
  const opened = useOpenShell(id, node.path) !== null;
  const contained = model?.summary.pipeline.engine === "docker";
  if (agent.data?.shell !== true || !contained || opened) return null;
  const asked = node.attempts.find((one) => one.number === Number(query.get("attempt")));
  const place = { id, path: node.path, attempt: asked?.number ?? null };
  const kept = (asked ?? node.attempts.at(-1))?.snapshot != null;
  return (
    <>
      <Button
        variant="quiet"
        title="Open the debug shell in this page"
        onClick={() => openShell({ ...place, snapshot: false })}
      >
        Open shell
      </Button>
      {kept ? (
        <Button
          variant="quiet"
          title="Open a shell with the files of the failed attempt"
          onClick={() => openShell({ ...place, snapshot: true })}
        >
          Open snapshot
        </Button>
      ) : null}
    </>
  );
}

/** The place of a node's shell. */
export function ShellSlot({ id, path }: { id: string; path: string }) {
  const place = useOpenShell(id, path);
  if (place === null) return null;
  return (
    <Suspense fallback={<p className="skeleton muted">Loading…</p>}>
      <ShellPanel key={path} place={place} />
    </Suspense>
  );
}
