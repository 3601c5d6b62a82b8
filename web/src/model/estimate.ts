/** How long a pipeline may still take, by how long it took before. */

import type { PipelineRun, PipelineSummary } from "@/api/schema";
import { activeTime } from "@/model/activity";
import { total } from "@/model/states";

/** Runs whose numbers of Execs differ by more than this factor do not tell of each other. */
const ALIKE = 1.25;
/** So many of the newest ones count. */
const COUNTED = 9;

/** Seconds that earlier runs of a pipeline took, as far as they got to their end in peace. */
export function earlierDurations(summary: PipelineSummary, runs: readonly PipelineRun[]): number[] {
  const durations: number[] = [];
  for (const run of runs) {
    if (durations.length === COUNTED) break;
    const took = run.ended === null ? null : activeTime(run, run.ended);
    if (!isAlike(summary, run) || took === null) continue;
    durations.push(took);
  }
  return durations;
}

function isAlike({ pipeline, counts }: PipelineSummary, run: PipelineRun): boolean {
  const [less, more] = [total(counts), run.execs].toSorted((a, b) => a - b);
  return (
    run.id !== pipeline.id &&
    run.settled &&
    run.state === "done" &&
    (more ?? 0) <= (less ?? 0) * ALIKE
  );
}

export interface Estimate {
  /** Seconds it usually takes, from start to end. */
  usual: number;
  /** Seconds that are left; null when it takes longer than usual. */
  rest: number | null;
}

/** What is left of a pipeline that has run for `elapsed` seconds; null when nothing is known. */
export function estimate(elapsed: number, durations: readonly number[]): Estimate | null {
  const sorted = durations.toSorted((a, b) => a - b);
  const usual = sorted[Math.floor(sorted.length / 2)];
  if (usual === undefined) return null;
  return { usual, rest: elapsed < usual ? usual - elapsed : null };
}
