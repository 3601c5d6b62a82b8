/** Whether the server responds: every request reports here, and local agents are also polled. */

import { IN_CLOUD } from "@/api/deployment";
import { Listeners } from "@/lib/listeners";

/** Time without a response of a local agent before it is polled, in ms. */
const SILENCE_MS = 1000;
/** Interval of checks for silence, in ms. Both together are less than 2 seconds. */
const CHECK_MS = 500;
const UNAUTHORIZED = 401;

const listeners = new Listeners();
let offline = false;
let heardAt = 0;
/** False without a session: rejected requests would fill the console. */
let mayPoll = true;

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
export function reportResponse(status: number): void {
  heardAt = performance.now();
  mayPoll = status !== UNAUTHORIZED;
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
  if (!IN_CLOUD) pollWhenSilent(ping, () => document.hidden);
}

/** Poll after a second without a response, until the returned function is called. */
export function pollWhenSilent(ping: () => Promise<unknown>, isHidden: () => boolean): () => void {
  const check = async () => {
    const isSilent = offline || performance.now() - heardAt >= SILENCE_MS;
    if (mayPoll && isSilent && !isHidden()) await ping().catch(() => undefined);
    timer = setTimeout(check, CHECK_MS);
  };
  let timer = setTimeout(check, CHECK_MS);
  return () => clearTimeout(timer);
}
