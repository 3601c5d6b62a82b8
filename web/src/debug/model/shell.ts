/** Texts of a debug shell. */

import type { ShellEnd, ShellTicket } from "@/api/schema";

export type ShellState =
  | { kind: "opening" }
  | { kind: "open" }
  | { kind: "refused"; message: string }
  /** Null if the connection was lost. */
  | { kind: "ended"; end: ShellEnd | null };

/** A node that never ran has no attempt. */
export function titleText(snapshot: boolean, ticket: ShellTicket | null): string {
  const attempt = ticket?.attempt ?? null;
  if (attempt === null) return "Shell";
  return snapshot
    ? `Shell with the files of attempt ${attempt}`
    : `Shell in the environment of attempt ${attempt}`;
}

export function stateText(state: ShellState): string {
  switch (state.kind) {
    case "opening":
      return "Connecting…";
    case "open":
      return "Connected";
    case "refused":
      return `Could not open the shell: ${state.message}`;
    case "ended":
      return endText(state.end);
  }
}

function endText(end: ShellEnd | null): string {
  if (end === null) return "Connection lost. The shell and its container were removed.";
  if (end.reason !== null) return `Shell ended: ${end.reason}.`;
  return `Shell ended with exit code ${end.code ?? "unknown"}. Its container was removed.`;
}

/** Split data into frames. */
export function frames(data: Uint8Array, size = 32 << 10): Uint8Array[] {
  const found: Uint8Array[] = [];
  for (let at = 0; at < data.length; at += size) found.push(data.subarray(at, at + size));
  return found;
}

/**
 * Remove control characters from pasted text. A page could otherwise hide terminal commands in the
 * clipboard.
 */
export function withoutEscapes(text: string): string {
  return text.replaceAll(/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x9f]/g, "");
}
