import { useSyncExternalStore } from "react";

/** One clock for the page: seconds since the epoch, moving while somebody looks at it. */
const EVERY_MS = 1000;
let now = Date.now() / 1000;
let timer: number | undefined;
const listeners = new Set<() => void>();

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= window.setInterval(() => {
    now = Date.now() / 1000;
    for (const one of listeners) one();
  }, EVERY_MS);
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    window.clearInterval(timer);
    timer = undefined;
  };
}

const never = () => () => undefined;

/** The time, each second while `ticking`; else the time at which it was last looked at. */
export function useNow(ticking: boolean): number {
  return useSyncExternalStore(ticking ? subscribe : never, () => now);
}
