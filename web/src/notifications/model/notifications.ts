/** Finds pipelines that finished or began to fail between two polls. */

import type { PipelineSummary } from "@/api/schema";
import { failures, stateLabel, STATES } from "@/run/model/states";

export interface PipelineNews {
  summary: PipelineSummary;
  kind: "failing" | "ended";
}

/** What happened since `before`: pipelines that ended, and those with their first failure. */
export function newsOf(
  before: readonly PipelineSummary[],
  now: readonly PipelineSummary[],
): PipelineNews[] {
  const earlier = new Map(before.map((one) => [one.pipeline.id, one]));
  return now.flatMap((summary): PipelineNews[] => {
    const known = earlier.get(summary.pipeline.id);
    if (known === undefined || known.settled) return [];
    if (summary.settled) return [{ summary, kind: "ended" }];
    const fails = failures(known.counts) === 0 && failures(summary.counts) > 0;
    return fails ? [{ summary, kind: "failing" }] : [];
  });
}

/** `failed: 1 failed, 6 done`. */
export function outcomeText({ state, counts }: PipelineSummary): string {
  const present = STATES.filter((one) => counts[one] > 0);
  const words = present.map((one) => `${counts[one].toLocaleString("en")} ${stateLabel(one)}`);
  return `${stateLabel(state)}: ${words.join(", ")}`;
}
