/** Which pipelines came to an end between two looks at all of them. */

import type { PipelineSummary } from "@/api/schema";
import { STATES } from "@/model/states";

/** Those of `now` that went on before and do not any more. */
export function ended(
  before: readonly PipelineSummary[],
  now: readonly PipelineSummary[],
): PipelineSummary[] {
  const busy = new Set(before.filter((one) => !one.settled).map((one) => one.pipeline.id));
  return now.filter((one) => one.settled && busy.has(one.pipeline.id));
}

/** `error: 1 error, 6 done`. */
export function outcome({ state, counts }: PipelineSummary): string {
  const present = STATES.filter((one) => counts[one] > 0);
  const words = present.map((one) => `${counts[one].toLocaleString("en")} ${one}`);
  return `${state}: ${words.join(", ")}`;
}
