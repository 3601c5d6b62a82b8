/** Why Execs wait, in one sentence for all of them. */

import type { NodeView } from "@/api/schema";
import type { PhaseName } from "@/model/phases";

export interface Reason {
  text: string;
  /** How many of those that were looked at wait for this. */
  count: number;
}

/** Sentences on an attempt whose turn has come, as the agent and the cloud have them. */
const STARTS = ["its container starts", "a worker is starting"];

/** What a queued Exec waits for, by the reason that is given; all but two kinds are its turn. */
export function phaseOf(reason: string): PhaseName {
  if (/^(the )?image /.test(reason)) return "image";
  return STARTS.includes(reason) ? "start" : "turn";
}

/** The reason that most of the nodes give; null when none gives one that is news. */
export function mainReason(nodes: readonly NodeView[]): Reason | null {
  const counts = new Map<string, number>();
  for (const { waits_for: text } of nodes) {
    if (text === null || text === "skipped") continue;
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  let best: Reason | null = null;
  for (const [text, count] of counts) {
    if (best === null || count > best.count) best = { text, count };
  }
  return best;
}
