/** Whether the server responds: every request reports here, and lost servers are polled. */

import { IN_CLOUD } from "@/api/deployment";
import { Listeners } from "@/lib/listeners";
import { wait } from "@/lib/retry";

/** Interval of checks, and time without a response of a local agent before it is polled, in ms. */
const CHECK_MS = 500;
const SILENCE_MS = 1000;
/** A server is offline after this number of failed tries and this time in ms. */
const MIN_FAILURES = 2;
const GRACE_MS = 2000;
/** Interval of tries while the server is offline, in ms. */
const TRY_MS = 3000;
/** Checks of a visible page that are this much apart mean that the machine slept, in ms. */
const SLEEP_MS = 10_000;
const UNAUTHORIZED = 401;

/** The server is offline since `lostAt`, and is tried again at `nextTry` (of `performance.now`). */
export interface Outage {
  lostAt: number;
  nextTry: number;
}

const listeners = new Listeners();
let outage: Outage | null = null;
let failures = 0;
let lostAt = 0;
let heardAt = 0;
/** False without a session: rejected requests would fill the console. */
let mayPoll = true;

export const subscribeToConnection = listeners.subscribe;

/** The user looks at the page again, the machine woke, or the server responds again. */
export const attention = new Listeners();
/** The machine woke: connections that look open may be lost. */
export const wake = new Listeners();

/** Wait for some milliseconds, or for `attention`. Throws `AbortError` if the signal aborts. */
export async function waitForAttention(milliseconds: number, signal: AbortSignal): Promise<void> {
  const noticed = new AbortController();
  const stop = attention.subscribe(() => noticed.abort());
  try {
    await wait(milliseconds, AbortSignal.any([signal, noticed.signal]));
  } catch (error) {
    if (signal.aborted) throw error;
  } finally {
    stop();
  }
}

export function currentOutage(): Outage | null {
  return outage;
}

export function isOffline(): boolean {
  return outage !== null;
}

function set(next: Outage | null): void {
  if (next === outage) return;
  outage = next;
  listeners.notify();
}

/** A response arrived, whatever its status. */
export function reportResponse(status: number): void {
  heardAt = performance.now();
  failures = 0;
  mayPoll = status !== UNAUTHORIZED;
  if (outage === null) return;
  set(null);
  attention.notify();
}

/**
 * A request could not be sent, or its connection was lost. Browsers abort requests when a network
 * interface appears, so the first failure means nothing.
 */
export function reportFailure(): void {
  const now = performance.now();
  if (failures === 0) lostAt = now;
  failures += 1;
  if (failures < MIN_FAILURES || now - lostAt < GRACE_MS) return;
  if (outage === null || now >= outage.nextTry) set({ lostAt, nextTry: now + TRY_MS });
}

/** Try a server that is offline now. */
export function tryNow(): void {
  if (outage !== null) set({ ...outage, nextTry: performance.now() });
}

/**
 * Notice a lost server on pages that send no requests, and one that responds again. An agent is
 * polled while the page is visible; in the cloud, requests cost money, so the server is tried only
 * after a failure.
 */
export function watchConnection(ping: () => Promise<unknown>): void {
  window.addEventListener("offline", () => void ping().catch(() => undefined));
  for (const name of ["online", "focus"]) window.addEventListener(name, pay);
  document.addEventListener("visibilitychange", pay);
  pollWhenSilent(ping, { isHidden: () => document.hidden, whenSilent: !IN_CLOUD });
}

function pay(): void {
  if (document.hidden) return;
  tryNow();
  attention.notify();
}

interface Watch {
  isHidden: () => boolean;
  /** Poll also a server that has not failed, after a second without a response. */
  whenSilent: boolean;
}

/** Try the server while it fails, until the returned function is called. */
export function pollWhenSilent(
  ping: () => Promise<unknown>,
  { isHidden, whenSilent }: Watch,
): () => void {
  let checkedAt = Date.now();
  let wasHidden = isHidden();
  const check = async () => {
    const hidden = isHidden();
    // Timers of hidden pages are late without a reason.
    if (Date.now() - checkedAt > SLEEP_MS && !hidden && !wasHidden) {
      wake.notify();
      attention.notify();
    }
    [checkedAt, wasHidden] = [Date.now(), hidden];
    if (mayPoll && !hidden && isDue(whenSilent)) await ping().catch(() => undefined);
    if (!stopped) timer = setTimeout(check, CHECK_MS);
  };
  let stopped = false;
  let timer = setTimeout(check, CHECK_MS);
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}

function isDue(whenSilent: boolean): boolean {
  const now = performance.now();
  if (outage !== null) return now >= outage.nextTry;
  return failures > 0 || (whenSilent && now - heardAt >= SILENCE_MS);
}
