/** Whether the server has rejected the session of this browser. */

import { Listeners } from "@/lib/listeners";

const listeners = new Listeners();
let isLost = false;

/** Report the status of a response. */
export function reportStatus(status: number): void {
  const isLostNow = status === 401 || (isLost && status >= 400);
  if (isLostNow === isLost) return;
  isLost = isLostNow;
  listeners.notify();
}

export const sessionLost = { subscribe: listeners.subscribe, current: () => isLost };
