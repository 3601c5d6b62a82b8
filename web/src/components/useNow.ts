import { useSyncExternalStore } from "react";

/** A shared clock in seconds since the epoch. */
const TICK_MS = 1000;
let now = Date.now() / 1000;
let timer: number | undefined;
const listeners = new Set<() => void>();

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= window.setInterval(() => {
    now = Date.now() / 1000;
    for (const one of listeners) one();
  }, TICK_MS);
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    window.clearInterval(timer);
    timer = undefined;
  };
}

const never = () => () => undefined;

/** The current time, updated every second while `ticking`. */
export function useNow(ticking: boolean): number {
  return useSyncExternalStore(ticking ? subscribe : never, () => now);
}
