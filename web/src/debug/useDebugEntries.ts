import { useQuery } from "@tanstack/react-query";

import { allowsShells } from "@/debug/api/shells";
import type { NodeDetail } from "@/api/schema";
import type { MenuEntry } from "@/components/Menu";
import { toast } from "@/components/toasts";
import { copy } from "@/lib/clipboard";
import { debugCommand } from "@/lib/commands";
import { useLocation } from "@/lib/location";
import { parseReference } from "@/lib/references";
import type { PipelineSession } from "@/run/live/session";
import { openShell, useOpenShell } from "@/debug/openShells";

/** A machine can change what it allows. */
const STALE_MS = 60_000;

/** The entries of a command's *Debug* menu: shells in the page if the agent allows them, and commands. */
export function useDebugEntries(session: PipelineSession, detail: NodeDetail): MenuEntry[] {
  const shells = useShellEntries(session, detail);
  const { node } = detail;
  if (node.type !== "Exec" || node.approval !== null) return [];
  const { id, model } = session;
  const command = debugCommand(id, node.path);
  const copied: MenuEntry = {
    label: "Copy debug command",
    hint: command,
    shortcut: "d",
    onSelect: () => void copyCommand(command),
  };
  // Only the machine of an agent has the code of its pipelines.
  if (parseReference(id).agent !== null) return withShells(shells, [copied]);
  const inCloud = model?.summary.pipeline.mode === "cloud";
  const other = debugCommand(id, node.path, inCloud ? { remote: true } : { live: true });
  const otherEntry: MenuEntry = {
    label: inCloud ? "Copy remote debug command" : "Copy live debug command",
    hint: inCloud
      ? "the same shell on a worker in the cloud, with access to the data"
      : "livedebug: the same shell with your local code",
    onSelect: () => void copyCommand(other),
  };
  return withShells(shells, [copied, otherEntry]);
}

function withShells(shells: readonly MenuEntry[], commands: readonly MenuEntry[]): MenuEntry[] {
  return shells.length === 0 ? [...commands] : [...shells, "separator", ...commands];
}

/** Entries that open a shell in the page, if the agent allows it and none is open. */
function useShellEntries({ id, model }: PipelineSession, { node }: NodeDetail): MenuEntry[] {
  const { query } = useLocation();
  const contained = node.type === "Exec" && model?.summary.pipeline.engine === "docker";
  const allowed = useQuery({
    queryKey: ["shells", parseReference(id).agent],
    queryFn: ({ signal }) => allowsShells(id, signal),
    staleTime: STALE_MS,
    enabled: contained,
  });
  const opened = useOpenShell(id, node.path) !== null;
  if (allowed.data !== true || !contained || opened) return [];
  const asked = node.attempts.find((one) => one.number === Number(query.get("attempt")));
  const place = { id, path: node.path, attempt: asked?.number ?? null };
  const entries: MenuEntry[] = [
    {
      label: "Open shell",
      hint: "this node's image, data and environment",
      onSelect: () => openShell({ ...place, snapshot: false }),
    },
  ];
  if ((asked ?? node.attempts.at(-1))?.snapshot != null) {
    entries.push({
      label: "Open snapshot",
      hint: "a shell with the files of the failed attempt",
      onSelect: () => openShell({ ...place, snapshot: true }),
    });
  }
  return entries;
}

/** Copy a command, or show it if the browser denies access to the clipboard. */
export async function copyCommand(command: string): Promise<void> {
  toast((await copy(command)) ? `Copied: ${command}` : `Run: ${command}`);
}
