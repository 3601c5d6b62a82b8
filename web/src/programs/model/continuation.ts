import type { LatestContinuation, NodePlan } from "@/api/schema";
import { CONTINUATION } from "@/app/texts";

/** The counts of a continuation, e.g. `2 kept, 1 runs, 1 removed`. */
export function continuationCounts(plan: LatestContinuation, withRemoved: boolean): string {
  const { kept, runs, skipped, removed } = plan;
  const parts = [CONTINUATION.kept(kept), CONTINUATION.runs(runs)];
  if (skipped > 0) parts.push(CONTINUATION.skipped(skipped));
  if (removed > 0 && withRemoved) parts.push(CONTINUATION.removed(removed));
  return parts.join(", ");
}

/** The decision about one command, with its reason. */
export function continuationReason({ fate, reason }: NodePlan): string {
  if (fate === "kept") return CONTINUATION.stays;
  if (fate === "skipped")
    return reason === "" ? CONTINUATION.skips : CONTINUATION.skipsSince(reason);
  return CONTINUATION.runsSince(reason);
}
