/** What a debug shell's panel says, and when its terminal tells how far it is. Pure. */

import type { ShellEnd, ShellTicket } from "@/api/schema";

/** Bytes after which the terminal tells that it has taken them in; a quarter of what may be ahead. */
const TELL_EVERY = 32 << 10;

/** Counts the output that was taken in; the shell waits for a terminal that is far behind. */
export class Meter {
  private taken = 0;
  private told = 0;

  /** Note more bytes; what to tell the agent, null for nothing yet. */
  add(count: number): number | null {
    this.taken += count;
    if (this.taken - this.told < TELL_EVERY) return null;
    this.told = this.taken;
    return this.taken;
  }
}

export type ShellState =
  | { kind: "opening" }
  | { kind: "open" }
  | { kind: "refused"; message: string }
  /** Null: the connection broke off. */
  | { kind: "ended"; end: ShellEnd | null };

/** What the shell is like; a node that never ran has no attempt. */
export function titleWords(snapshot: boolean, ticket: ShellTicket | null): string {
  const attempt = ticket?.attempt ?? null;
  if (attempt === null) return "Shell";
  return snapshot ? `Shell after attempt ${attempt}` : `Shell like attempt ${attempt}`;
}

export function stateWords(state: ShellState): string {
  switch (state.kind) {
    case "opening":
      return "Opening…";
    case "open":
      return "Open";
    case "refused":
      return `It does not open: ${state.message}`;
    case "ended":
      return endWords(state.end);
  }
}

function endWords(end: ShellEnd | null): string {
  if (end === null) return "The connection broke off; the shell and its container are gone.";
  if (end.reason !== null) return `The shell has ended: ${end.reason}.`;
  return `The shell has ended with exit code ${end.code ?? "unknown"}; its container is gone.`;
}

/** Text in pieces that each fit into a frame. A piece is as the agent types it. */
export function frames(data: Uint8Array, size = 32 << 10): Uint8Array[] {
  const found: Uint8Array[] = [];
  for (let at = 0; at < data.length; at += size) found.push(data.subarray(at, at + size));
  return found;
}

/**
 * Pasted text as a terminal may have it: without the characters that end a paste or give orders to
 * the terminal, which a page can put into the clipboard unseen.
 */
export function withoutEscapes(text: string): string {
  return text.replaceAll(/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x9f]/g, "");
}
