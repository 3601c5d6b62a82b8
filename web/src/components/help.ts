/** Whether the help is open. Every page can open it. */

import { useSyncExternalStore } from "react";

import { Listeners } from "@/lib/listeners";

let open = false;
const listeners = new Listeners();

export function showHelp(shown: boolean): void {
  open = shown;
  listeners.notify();
}

export function useHelpOpen(): boolean {
  return useSyncExternalStore(listeners.subscribe, () => open);
}
