/** The shells that are open in this page. The terminal code is loaded with the first one. */

import { useSyncExternalStore } from "react";

import type { ShellTarget } from "@/live/shell";

const open = new Map<string, ShellTarget>();
const listeners = new Set<() => void>();

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function notify(): void {
  for (const listener of listeners) listener();
}

export function shellKey({ id, path }: Pick<ShellTarget, "id" | "path">): string {
  return `${id} ${path}`;
}

export function openShell(place: ShellTarget): void {
  if (open.has(shellKey(place))) return;
  open.set(shellKey(place), place);
  notify();
}

export function closeShell(place: ShellTarget): void {
  open.delete(shellKey(place));
  notify();
}

/** The open shell of a node, or null. */
export function useOpenShell(id: string, path: string): ShellTarget | null {
  return useSyncExternalStore(subscribe, () => open.get(shellKey({ id, path })) ?? null);
}
