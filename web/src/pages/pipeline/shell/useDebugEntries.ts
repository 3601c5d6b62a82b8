import { useQuery } from "@tanstack/react-query";

import { api } from "@/api/client";
import type { NodeDetail } from "@/api/schema";
import type { MenuEntry } from "@/components/Menu";
import { toast } from "@/components/toasts";
import { copy } from "@/lib/clipboard";
import { debugCommand } from "@/lib/commands";
import { useLocation } from "@/lib/location";
import type { PipelineSession } from "@/live/session";
import { openShell, useOpenShell } from "@/pages/pipeline/shell/openShells";
import { DEBUG } from "@/strings";

/** The entries of a command's *Debug* menu: shells in the page if the agent allows them, and commands. */
export function useDebugEntries(session: PipelineSession, detail: NodeDetail): MenuEntry[] {
  const shells = useShellEntries(session, detail);
  const { node } = detail;
  if (node.type !== "Exec" || node.approval !== null) return [];
  const { id, model } = session;
  const command = debugCommand(id, node.path);
  const copied: MenuEntry = {
    label: DEBUG.copy,
    hint: command,
    shortcut: "d",
    onSelect: () => void copyCommand(command),
  };
  const inCloud = model?.summary.pipeline.mode === "cloud";
  const other = debugCommand(id, node.path, inCloud ? { remote: true } : { live: true });
  const otherEntry: MenuEntry = {
    label: inCloud ? DEBUG.copyRemote : DEBUG.copyLive,
    hint: inCloud ? DEBUG.remoteHint : DEBUG.liveHint,
    onSelect: () => void copyCommand(other),
  };
  return shells.length === 0 ? [copied, otherEntry] : [...shells, "separator", copied, otherEntry];
}

/** Entries that open a shell in the page, if the agent allows it and none is open. */
function useShellEntries({ id, model }: PipelineSession, { node }: NodeDetail): MenuEntry[] {
  const { query } = useLocation();
  const contained = node.type === "Exec" && model?.summary.pipeline.engine === "docker";
  const agent = useQuery({
    queryKey: ["agent", "shell"],
    queryFn: ({ signal }) => api.agent(signal),
    staleTime: Infinity,
    enabled: contained,
  });
  const opened = useOpenShell(id, node.path) !== null;
  if (agent.data?.shell !== true || !contained || opened) return [];
  const asked = node.attempts.find((one) => one.number === Number(query.get("attempt")));
  const place = { id, path: node.path, attempt: asked?.number ?? null };
  const entries: MenuEntry[] = [
    {
      label: DEBUG.openShell,
      hint: DEBUG.openShellHint,
      onSelect: () => openShell({ ...place, snapshot: false }),
    },
  ];
  if ((asked ?? node.attempts.at(-1))?.snapshot != null) {
    entries.push({
      label: DEBUG.openSnapshot,
      hint: DEBUG.openSnapshotHint,
      onSelect: () => openShell({ ...place, snapshot: true }),
    });
  }
  return entries;
}

/** Copy a command, or show it if the browser denies access to the clipboard. */
export async function copyCommand(command: string): Promise<void> {
  toast((await copy(command)) ? DEBUG.copied(command) : DEBUG.enter(command));
}
