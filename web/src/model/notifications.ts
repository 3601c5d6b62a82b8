/** Finds pipelines that finished between two polls. */

import type { PipelineSummary } from "@/api/schema";
import { stateLabel, STATES } from "@/model/states";

/** Pipelines of `now` that have finished since `before`. */
export function newlySettled(
  before: readonly PipelineSummary[],
  now: readonly PipelineSummary[],
): PipelineSummary[] {
  const active = new Set(before.filter((one) => !one.settled).map((one) => one.pipeline.id));
  return now.filter((one) => one.settled && active.has(one.pipeline.id));
}

/** `failed: 1 failed, 6 done`. */
export function outcomeText({ state, counts }: PipelineSummary): string {
  const present = STATES.filter((one) => counts[one] > 0);
  const words = present.map((one) => `${counts[one].toLocaleString("en")} ${stateLabel(one)}`);
  return `${stateLabel(state)}: ${words.join(", ")}`;
}
