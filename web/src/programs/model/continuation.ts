import type { LatestContinuation, NodePlan } from "@/api/schema";

/** The counts of a continuation, e.g. `2 kept, 1 runs, 1 removed`. */
export function continuationCounts(plan: LatestContinuation, withRemoved: boolean): string {
  const { kept, runs, skipped, removed } = plan;
  const parts = [
    `${kept.toLocaleString("en")} kept`,
    `${runs.toLocaleString("en")} ${runs === 1 ? "runs" : "run"}`,
  ];
  if (skipped > 0) parts.push(`${skipped.toLocaleString("en")} skipped`);
  if (removed > 0 && withRemoved) parts.push(`${removed.toLocaleString("en")} removed`);
  return parts.join(", ");
}

/** The decision about one command, with its reason. */
export function continuationReason({ fate, reason }: NodePlan): string {
  if (fate === "kept") return "kept: nothing that it depends on changed";
  if (fate === "skipped") return reason === "" ? "skipped" : `skipped: ${reason}`;
  return `runs: ${reason}`;
}
