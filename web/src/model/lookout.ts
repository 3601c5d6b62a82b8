/** Which Execs that run or are queued a wide group lacks, of those that its counts tell of. */

import type { TreeNode } from "@/model/node";
import { isWide, knownIn } from "@/model/order";

/** Running and queued Execs of a group that are brought to a reader, at most. */
export const BROUGHT = { running: 20, queued: 10 } as const;

type Moving = keyof typeof BROUGHT;

export interface Lack {
  group: TreeNode;
  states: Moving[];
}

/** Takes turns between the groups: what moves fast in one must not keep the others waiting. */
export class Lookout {
  private turn = 0;
  private readonly asked = new Map<string, number>();

  /** The group to look into next; null where none lacks anything. */
  next(groups: readonly TreeNode[]): Lack | null {
    const lacking = groups.flatMap((group) => {
      const states = lackingIn(group);
      return states.length === 0 ? [] : [{ group, states, last: this.lastAsked(group) }];
    });
    const [first] = lacking.toSorted((a, b) => a.last - b.last);
    if (first === undefined) return null;
    this.turn += 1;
    this.asked.set(first.group.path, this.turn);
    return { group: first.group, states: first.states };
  }

  private lastAsked(group: TreeNode): number {
    return this.asked.get(group.path) ?? 0;
  }
}

function lackingIn(group: TreeNode): Moving[] {
  const { counts } = group;
  if (counts === null || !isWide(group)) return [];
  return (["running", "queued"] as const).filter(
    (state) => counts[state] > 0 && knownIn(group, state) < Math.min(counts[state], BROUGHT[state]),
  );
}
