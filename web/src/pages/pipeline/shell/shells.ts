/** Which shells are open in this page. Small: terminals come with the first one. */

import { useSyncExternalStore } from "react";

import type { ShellPlace } from "@/live/shell";

const open = new Map<string, ShellPlace>();
const listeners = new Set<() => void>();

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function changed(): void {
  for (const listener of listeners) listener();
}

export function shellKey({ id, path }: Pick<ShellPlace, "id" | "path">): string {
  return `${id} ${path}`;
}

export function openShell(place: ShellPlace): void {
  if (open.has(shellKey(place))) return;
  open.set(shellKey(place), place);
  changed();
}

export function forgetShell(place: ShellPlace): void {
  open.delete(shellKey(place));
  changed();
}

/** The shell that is open in a node, if one is. */
export function useOpenShell(id: string, path: string): ShellPlace | null {
  return useSyncExternalStore(subscribe, () => open.get(shellKey({ id, path })) ?? null);
}
