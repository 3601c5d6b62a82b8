/** How long a pipeline may still take, by how long it took before. */

import type { PipelineSummary } from "@/api/schema";
import { total } from "@/model/states";

/** Pipelines whose numbers of Execs differ by more than this factor do not tell of each other. */
const ALIKE = 1.25;
/** So many of the newest ones count. */
const COUNTED = 9;

/** Seconds that earlier runs of the same pipeline took, as far as they got to their end in peace. */
export function earlierDurations(
  summary: PipelineSummary,
  others: readonly PipelineSummary[],
): number[] {
  const durations: number[] = [];
  for (const other of others) {
    if (durations.length === COUNTED) break;
    if (!isAlike(summary, other) || other.started === null || other.ended === null) continue;
    durations.push(other.ended - other.started);
  }
  return durations;
}

function isAlike(summary: PipelineSummary, other: PipelineSummary): boolean {
  const { id, title, program } = summary.pipeline;
  const [less, more] = [total(summary.counts), total(other.counts)].toSorted((a, b) => a - b);
  return (
    other.pipeline.id !== id &&
    other.pipeline.title === title &&
    other.pipeline.program === program &&
    other.settled &&
    other.state === "done" &&
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
