/** Estimates the remaining time from earlier runs. */

import type { PipelineRun, PipelineSummary } from "@/api/schema";
import { activeTime } from "@/run/model/activity";
import { total } from "@/run/model/states";

/** Runs whose number of commands differs by more than this factor are not compared. */
const MAX_SIZE_RATIO = 1.25;
/** Number of newest runs that are compared. */
const MAX_RUNS = 9;

/** Durations in seconds of comparable successful runs. */
export function earlierDurations(summary: PipelineSummary, runs: readonly PipelineRun[]): number[] {
  const durations: number[] = [];
  for (const run of runs) {
    if (durations.length === MAX_RUNS) break;
    const took = run.ended === null ? null : activeTime(run, run.ended);
    if (!isComparable(summary, run) || took === null) continue;
    durations.push(took);
  }
  return durations;
}

function isComparable({ pipeline, counts }: PipelineSummary, run: PipelineRun): boolean {
  const [less, more] = [total(counts), run.execs].toSorted((a, b) => a - b);
  return (
    run.id !== pipeline.id &&
    run.settled &&
    run.state === "done" &&
    (more ?? 0) <= (less ?? 0) * MAX_SIZE_RATIO
  );
}

export interface Estimate {
  /** Typical duration in seconds. */
  usual: number;
  /** Remaining seconds; null if it takes longer than usual. */
  remaining: number | null;
}

/** Estimate the remaining time after `elapsed` seconds; null without earlier runs. */
export function estimate(elapsed: number, durations: readonly number[]): Estimate | null {
  const sorted = durations.toSorted((a, b) => a - b);
  const usual = sorted[Math.floor(sorted.length / 2)];
  if (usual === undefined) return null;
  return { usual, remaining: elapsed < usual ? usual - elapsed : null };
}
