/** Texts for states and failures. */

import type { Cause, Counts, NodeType, NodeView, State } from "@/api/schema";
import { duration } from "@/lib/time";

/** In the order of the columns P Q R D F K. */
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
  timeout: "timed out",
  out_of_memory: "out of memory",
  image: "image build failed",
  no_worker: "no worker",
  no_capacity: "AWS had no machine",
  worker_lost: "worker lost",
  spot: "Spot worker interrupted",
  service: "service failed",
  killed_by_user: "killed by user",
  lazy: "printed an invalid tree",
  input: "a result is missing",
  spend_limit: "killed at the spend limit",
  budget: "killed at its budget",
  rejected: "rejected",
  approval_timeout: "nobody approved it in time",
};

/** The state that users see. */
export type DisplayState = State | "skipped" | "warning" | "paused" | "scheduled" | "approval";

/** The marks of commands that are done: from the cache, or of files that have changed since. */
export type Mark = DisplayState | "cached" | "stale";

export interface NodeStatus {
  state: State;
  skipped: boolean;
  warning: boolean;
  waitKind?: NodeView["wait_kind"];
}

/** The name of a state for users: `error` is *failed*. */
export function stateLabel(state: Mark): string {
  if (state === "cached") return "from cache";
  if (state === "approval") return "waits for approval";
  return state === "error" ? "failed" : state;
}

/** Skipped takes precedence over any state, warning over done, an approval over queued. */
export function displayState(node: NodeStatus): DisplayState {
  if (node.skipped) return "skipped";
  if (node.state === "queued" && node.waitKind === "approval") return "approval";
  return node.state === "done" && node.warning ? "warning" : node.state;
}

/** `exit 2`, `timed out`; null without a failure. */
export function failureText(cause: Cause | null, exitCode: number | null): string | null {
  if (cause === null) return null;
  return cause === "exit_code" && exitCode !== null ? `exit ${exitCode}` : CAUSES[cause];
}

export function stoppedText(group: string): string {
  return `${group} timed out`;
}

/** `timed out: max_time 2s (1 killed, 4 not run)`. */
export function timeoutText(limit: number | null, counts: Counts): string {
  const words = limit === null ? CAUSES.timeout : `${CAUSES.timeout}: max_time ${duration(limit)}`;
  const parts = [[counts.killed, "killed"] as const, [counts.pending, "not run"] as const].flatMap(
    ([number, what]) => (number > 0 ? [`${number.toLocaleString("en")} ${what}`] : []),
  );
  return parts.length === 0 ? words : `${words} (${parts.join(", ")})`;
}

/** Number of failed commands. */
export function failures(counts: Counts): number {
  return counts.error + counts.killed;
}

/** Number of commands. */
export function total(counts: Counts): number {
  return STATES.reduce((sum, state) => sum + counts[state], 0);
}

/** `1,940 done, 61 failed`: commands by state, without the states that have none. */
export function countsText(counts: Counts): string {
  const present = STATES.filter((state) => counts[state] > 0);
  if (present.length === 0) return "no commands";
  return present
    .map((state) => `${counts[state].toLocaleString("en")} ${stateLabel(state)}`)
    .join(", ");
}

/** Number of finished commands. */
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
