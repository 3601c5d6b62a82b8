/** Changes that were sent to a server which has not responded yet. */

import { waitForAttention } from "@/api/connection";
import { Listeners } from "@/lib/listeners";

/** Delays before a change is sent again, in ms; the last one is repeated. */
const DELAYS_MS = [200, 600, 1500, 3000] as const;

export interface Change {
  id: number;
  /** The name of the action; null if it has none. */
  action: string | null;
  /** When it was sent, in seconds since the epoch. */
  since: number;
  /** Stop sending it: whether it was done stays unknown. */
  forget: () => void;
}

const listeners = new Listeners();
let changes: readonly Change[] = [];
let nextId = 1;

function show(next: readonly Change[]): void {
  changes = next;
  listeners.notify();
}

class OpenChange {
  private tries = 0;
  private readonly aborter = new AbortController();
  private readonly change: Change;

  constructor(action: string | null) {
    const forget = () => this.aborter.abort();
    this.change = { id: nextId++, action, since: Date.now() / 1000, forget };
  }

  /** Wait for the next try; return false if the user does not want it. */
  async failed(): Promise<boolean> {
    if (this.tries === 0) show([...changes, this.change]);
    const delay = DELAYS_MS[Math.min(this.tries, DELAYS_MS.length - 1)] ?? 0;
    this.tries += 1;
    await waitForAttention(delay, this.aborter.signal).catch(() => undefined);
    return !this.aborter.signal.aborted;
  }

  close(): void {
    if (changes.includes(this.change)) show(changes.filter((one) => one !== this.change));
  }
}

export const unconfirmed = {
  subscribe: listeners.subscribe,
  current: (): readonly Change[] => changes,
  /** Begin to send a change. */
  open: (action: string | null) => new OpenChange(action),
};
