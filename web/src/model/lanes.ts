/** The parts of a timeline: an attempt is a bar, a row of them a lane. */

import type { NodeView, State } from "@/api/schema";
import { isFinished } from "@/model/states";

/** `start` is that of its container; `unknown`: nobody noted what it waited for. */
export type PhaseName = NonNullable<NodeView["wait_kind"]>;

/** One attempt of an Exec. Times are seconds since the epoch. */
export interface Bar {
  readonly path: string;
  readonly number: number;
  state: State;
  queued: number | null;
  /** When the image was there that it waited for, and when its turn came; null if not known. */
  imageReady: number | null;
  admitted: number | null;
  /** What it was last said to wait for; null where its record is there, which tells more. */
  waitsFor: PhaseName | null;
  started: number | null;
  ended: number | null;
  /** Where it ran; null where it is not known, or was a plain process. */
  container: string | null;
  exitCode: number | null;
}

/** A row: all attempts of a node, or all commands of a container, in order of time; or a group. */
export interface Lane {
  readonly key: string;
  readonly label: string;
  readonly bars: Bar[];
  /** Of a row that stands for a group, which has no bars. */
  readonly group?: Group;
}

export interface Range {
  from: number;
  to: number;
}

/** How many ran: from `times[n]` on they were `counts[n]`. */
export interface Steps {
  readonly times: readonly number[];
  readonly counts: readonly number[];
}

/** What a row tells of the attempts below a group. */
export interface Group {
  readonly steps: Steps;
  /** The most that ran at once. */
  readonly peak: number;
  readonly nodes: number;
  readonly attempts: number;
  /** When attempts failed, oldest first. */
  readonly failures: readonly number[];
}

/** What the chart shows. */
export interface ChartData {
  lanes: readonly Lane[];
  /** Whether rows stand for groups; null where there is no choice. */
  grouped: boolean | null;
  extent: Range;
  /** The critical path, oldest first. */
  chain: readonly Bar[];
  attempts: number;
  now: number;
}

/** When a bar begins to be seen: when it was queued. Null for one without any time. */
export function beginOf(bar: Bar): number | null {
  return bar.queued ?? bar.started;
}

/** When a bar ends: `now` while its command waits or runs. */
export function endOf(bar: Bar, now: number): number {
  if (bar.ended !== null) return bar.ended;
  return isFinished(bar.state) ? (bar.started ?? bar.queued ?? now) : now;
}
