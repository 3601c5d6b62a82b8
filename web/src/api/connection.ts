/** Whether the server responds: every request reports here, and local agents are also polled. */

import { IN_CLOUD } from "@/api/deployment";
import { Listeners } from "@/lib/listeners";

/** Maximum time without a response of a local agent before it is polled, in ms. */
const SILENCE_MS = 1200;

const listeners = new Listeners();
let offline = false;
let heardAt = 0;
/** Not after a rejection: repeating a request without a session would fill the console. */
let mayPoll = false;

export const subscribeToConnection = listeners.subscribe;

export function isOffline(): boolean {
  return offline;
}

function set(next: boolean): void {
  if (next === offline) return;
  offline = next;
  listeners.notify();
}

/** A response arrived, whatever its status. */
export function reportResponse(ok: boolean): void {
  heardAt = performance.now();
  mayPoll = ok;
  set(false);
}

/** A request could not be sent, or its connection was lost. */
export function reportFailure(): void {
  set(true);
}

/**
 * Notice a lost server on pages that send no requests. An agent is polled by `ping` while the page
 * is visible; in the cloud, requests cost money, so only the browser's own status is used.
 */
export function watchConnection(ping: () => Promise<unknown>): void {
  window.addEventListener("offline", reportFailure);
  if (IN_CLOUD) return;
  const poll = async () => {
    const isSilent = offline || performance.now() - heardAt >= SILENCE_MS;
    if (mayPoll && isSilent && !document.hidden) await ping().catch(() => undefined);
    window.setTimeout(poll, SILENCE_MS);
  };
  window.setTimeout(poll, SILENCE_MS);
}
