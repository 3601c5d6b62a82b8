/** Selects large groups whose running and queued commands should be loaded. */

import type { TreeNode } from "@/run/model/node";
import { isLargeGroup, knownCount } from "@/run/tree/model/sorting";

/** Maximum number of commands per group that are loaded. */
export const PREFETCH_LIMIT = { running: 20, queued: 10 } as const;

type ActiveState = keyof typeof PREFETCH_LIMIT;

export interface Prefetch {
  group: TreeNode;
  states: ActiveState[];
}

/** Alternates between groups, so that a busy one does not block the others. */
export class PrefetchQueue {
  private turn = 0;
  private readonly requested = new Map<string, number>();

  /** The next group to load; null if none is missing anything. */
  next(groups: readonly TreeNode[]): Prefetch | null {
    const incomplete = groups.flatMap((group) => {
      const states = missingStates(group);
      return states.length === 0 ? [] : [{ group, states, last: this.lastRequested(group) }];
    });
    const [first] = incomplete.toSorted((a, b) => a.last - b.last);
    if (first === undefined) return null;
    this.turn += 1;
    this.requested.set(first.group.path, this.turn);
    return { group: first.group, states: first.states };
  }

  private lastRequested(group: TreeNode): number {
    return this.requested.get(group.path) ?? 0;
  }
}

function missingStates(group: TreeNode): ActiveState[] {
  const { counts } = group;
  if (counts === null || !isLargeGroup(group)) return [];
  return (["running", "queued"] as const).filter(
    (state) =>
      counts[state] > 0 &&
      knownCount(group, state) < Math.min(counts[state], PREFETCH_LIMIT[state]),
  );
}
