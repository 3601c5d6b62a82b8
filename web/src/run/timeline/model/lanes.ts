/** Parts of a timeline: a bar is an attempt, a lane is a row of bars. */

import type { NodeView, State } from "@/api/schema";
import { isFinished } from "@/run/model/states";

/** `start` is the start of the container; `unknown` means that no reason was recorded. */
export type PhaseName = "image" | "turn" | "start" | "approval" | "unknown";

/** The part of a bar in which an attempt waits for this. */
export function phaseOf(kind: NonNullable<NodeView["wait_kind"]>): PhaseName {
  return kind === "image" || kind === "start" || kind === "approval" ? kind : "turn";
}

/** One attempt of an Exec. Times are seconds since the epoch. */
export interface Bar {
  readonly path: string;
  readonly number: number;
  state: State;
  queued: number | null;
  /** When its image was ready and when it was admitted; null if unknown. */
  imageReady: number | null;
  admitted: number | null;
  /** Latest known wait reason; null once the attempt record is loaded. */
  waitsFor: PhaseName | null;
  started: number | null;
  ended: number | null;
  /** Null if unknown or a plain process. */
  container: string | null;
  exitCode: number | null;
  /** Seconds that its times are moved back in the chart; see `rounds`. */
  readonly shift?: number;
}

/** Whether an attempt has the outcome of another one, and never ran: an approval runs nothing. */
export function isFromCache({ started, state, waitsFor }: Bar): boolean {
  return started === null && state === "done" && waitsFor !== "approval";
}

/** Whether a person has decided an attempt that runs no command. */
export function isDecided({ started, state, waitsFor }: Bar): boolean {
  return started === null && waitsFor === "approval" && isFinished(state);
}

/** A row: the attempts of a node, the commands of a container, or a group. */
export interface Lane {
  readonly key: string;
  readonly label: string;
  readonly bars: Bar[];
  /** Set for a row that stands for a group; it has no bars. */
  readonly group?: Group;
  /** Number of rows of groups that it is nested in. */
  readonly depth?: number;
  /** Whether the nodes of a group have rows below it. */
  readonly open?: boolean;
}

export interface Range {
  from: number;
  to: number;
}

/** From `times[n]` on, `counts[n]` commands ran. */
export interface Steps {
  readonly times: readonly number[];
  readonly counts: readonly number[];
}

/** Totals of the attempts below a group. */
export interface Group {
  readonly steps: Steps;
  /** Maximum number running at once. */
  readonly peak: number;
  readonly nodes: number;
  readonly attempts: number;
  /** Times of failures, oldest first. */
  readonly failures: readonly number[];
}

/** When a bar starts: when it was queued. Null if unknown. */
export function beginOf(bar: Bar): number | null {
  return bar.queued ?? bar.started;
}

/** When a bar ends: `now` while it is active. */
export function endOf(bar: Bar, now: number): number {
  if (bar.ended !== null) return bar.ended;
  return isFinished(bar.state) ? (bar.started ?? bar.queued ?? now) : now;
}
