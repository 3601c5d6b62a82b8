/** Why Execs wait, in one sentence for all of them. */

import type { NodeView } from "@/api/schema";

export interface Reason {
  text: string;
  /** How many of those that were looked at wait for this. */
  count: number;
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
