/** The words for how a node stands, as a reader meets them. */

import type { Cause, Counts, NodeType, State } from "@/api/schema";
import { duration } from "@/lib/time";

/** In the order of the columns P Q R D E K. */
export const STATES: readonly State[] = ["pending", "queued", "running", "done", "error", "killed"];

export const NO_COUNTS: Counts = {
  pending: 0,
  queued: 0,
  running: 0,
  done: 0,
  error: 0,
  killed: 0,
  skipped: 0,
};

const CAUSES: Record<Cause, string> = {
  exit_code: "exit code",
  timeout: "took too long",
  out_of_memory: "out of memory",
  image: "image not built",
  no_worker: "no worker",
  worker_lost: "container lost",
  killed_by_user: "killed by hand",
  lazy: "printed no valid tree",
};

/** What a person reads and sees for a node: one mark, one word. */
export type Mark = State | "skipped" | "warning";

export interface Standing {
  state: State;
  skipped: boolean;
  warning: boolean;
}

/** The mark of a node: being skipped says more than its state, a warning more than `done`. */
export function markOf(node: Standing): Mark {
  if (node.skipped) return "skipped";
  return node.state === "done" && node.warning ? "warning" : node.state;
}

/** A failure in a few words: `exit 2`, `took too long`. Null when there is none. */
export function failureText(cause: Cause | null, exitCode: number | null): string | null {
  if (cause === null) return null;
  return cause === "exit_code" && exitCode !== null ? `exit ${exitCode}` : CAUSES[cause];
}

/** How an Exec ended that a group's time limit ended. */
export function stoppedText(group: string): string {
  return `ended with ${group}, which took too long`;
}

/** How a group ended whose time limit ran out: `took too long: max_time 2s (1 killed, 4 not run)`. */
export function timeoutText(limit: number | null, counts: Counts): string {
  const words = limit === null ? CAUSES.timeout : `${CAUSES.timeout}: max_time ${duration(limit)}`;
  const parts = [[counts.killed, "killed"] as const, [counts.pending, "not run"] as const].flatMap(
    ([number, what]) => (number > 0 ? [`${number.toLocaleString("en")} ${what}`] : []),
  );
  return parts.length === 0 ? words : `${words} (${parts.join(", ")})`;
}

/** How many Execs of a subtree failed. */
export function failures(counts: Counts): number {
  return counts.error + counts.killed;
}

/** How many Execs a subtree has. */
export function total(counts: Counts): number {
  return STATES.reduce((sum, state) => sum + counts[state], 0);
}

/** How many Execs of a subtree have come to an end. */
export function finished(counts: Counts): number {
  return counts.done + counts.error + counts.killed;
}

export function isFailed(state: State): boolean {
  return state === "error" || state === "killed";
}

export function isFinished(state: State): boolean {
  return state === "done" || isFailed(state);
}

export function isGroup(type: NodeType): boolean {
  return type !== "Exec";
}
