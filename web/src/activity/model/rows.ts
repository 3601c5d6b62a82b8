/** The order of running commands, and when the next waiting one starts. */

import type { RunningCommand, WaitGroup } from "@/api/schema";
import type { UsualTime } from "@/run/model/usual";

/** `{pipeline: {path: time}}`. */
export type UsualOf = ReadonlyMap<string, ReadonlyMap<string, UsualTime>>;

/** The share of a bar at which the usual time ends: overruns of all rows are compared at a glance. */
export const USUAL_AT = 2 / 3;

export interface Run {
  command: RunningCommand;
  /** Seconds since its start. */
  took: number;
  /** The usual time in seconds; null if it is not known. */
  usual: number | null;
}

/** The running commands, the longest beyond their usual time first, then those that run longest. */
export function rowsOf(
  commands: readonly RunningCommand[],
  usual: UsualOf,
  now: number,
): readonly Run[] {
  return commands
    .map((command) => ({
      command,
      took: Math.max(0, now - command.started),
      usual: usual.get(command.pipeline)?.get(command.path)?.usual ?? null,
    }))
    .toSorted((a, b) => overrun(b) - overrun(a) || b.took - a.took);
}

/** By how many times a command exceeds its usual time; 0 if it does not. */
export function overrun({ took, usual }: Run): number {
  return usual === null || usual === 0 || took <= usual ? 0 : took / usual;
}

/** The length of a bar, as a share: the usual time is at `USUAL_AT`. */
export function barLength(run: Run): number {
  return run.usual === null || run.usual === 0 ? 0 : Math.min(1, (run.took / run.usual) * USUAL_AT);
}

/** Waits that end when a running command ends. */
const ENDS_WITH_A_COMMAND: readonly WaitGroup["kind"][] = ["turn", "limit", "plan"];

/**
 * Seconds until the next of these commands probably starts: when the first running command of their
 * pipelines (of all, for a limit or the plan) takes its usual time. Null if that is not known.
 */
export function nextStart(group: WaitGroup, runs: readonly Run[]): number | null {
  if (!ENDS_WITH_A_COMMAND.includes(group.kind)) return null;
  const pipelines = new Set(group.first.map(({ pipeline }) => pipeline));
  const left = runs
    .filter(({ command }) => group.kind !== "turn" || pipelines.has(command.pipeline))
    .flatMap(({ usual, took }) => (usual === null || took >= usual ? [] : [usual - took]));
  return left.length === 0 ? null : Math.min(...left);
}

/** Whether a running command has a text in its path or its pipeline. */
export function isRunFound({ command: { path, pipeline, title } }: Run, text: string): boolean {
  return hasText([path, pipeline, title], text);
}

/** Whether a text is in the reason of a wait, or in the paths that it names. */
export function isWaitFound({ text: reason, first }: WaitGroup, text: string): boolean {
  return hasText([reason, ...first.flatMap(({ path, pipeline }) => [path, pipeline])], text);
}

function hasText(values: readonly string[], text: string): boolean {
  const wanted = text.trim().toLowerCase();
  return values.some((value) => value.toLowerCase().includes(wanted));
}
