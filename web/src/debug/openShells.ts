/** The shells that are open in this page. The terminal code is loaded with the first one. */

import { useSyncExternalStore } from "react";

import { Listeners } from "@/lib/listeners";
import type { ShellTarget } from "@/debug/live/shell";

const open = new Map<string, ShellTarget>();
const listeners = new Listeners();

export function shellKey({ id, path }: Pick<ShellTarget, "id" | "path">): string {
  return `${id} ${path}`;
}

export function openShell(place: ShellTarget): void {
  if (open.has(shellKey(place))) return;
  open.set(shellKey(place), place);
  listeners.notify();
}

export function closeShell(place: ShellTarget): void {
  open.delete(shellKey(place));
  listeners.notify();
}

/** The open shell of a node, or null. */
export function useOpenShell(id: string, path: string): ShellTarget | null {
  return useSyncExternalStore(listeners.subscribe, () => open.get(shellKey({ id, path })) ?? null);
}
