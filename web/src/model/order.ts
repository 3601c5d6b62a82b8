/**
 * The order in which a group's children are shown.
 *
 * Of many children those come first that a reader looks for: what failed, what runs, what is
 * queued. Others stand in definition order, as in a small group all of them do. The order is held
 * until `renew` is called or a child becomes known, so that rows stay where they are while states
 * change fast.
 */

import type { TreeNode } from "@/model/node";
import { failures, isFailed } from "@/model/states";

/** In a group of more children than this the order follows their states. */
export const WIDE = 100;

/** The ranks that come before the others; what has none of them stands in definition order. */
const FAILED = 0;
const RUNNING = 1;
const QUEUED = 2;
export const REST = 3;

/** A group's children as they are shown: `more` of them, not loaded yet, come before `beyond`. */
export interface Arranged {
  front: readonly TreeNode[];
  rest: readonly TreeNode[];
  beyond: readonly TreeNode[];
}

interface Held extends Arranged {
  generation: number;
  first: readonly TreeNode[];
  found: readonly TreeNode[];
  foundCount: number;
}

/** The order of every group as it was last looked at. */
export class Arrangement {
  /** Moves when rows may have changed places. */
  version = 0;

  private generation = 0;
  private readonly held = new WeakMap<TreeNode, Held>();

  /** Let the order of every group follow the states as they are now. */
  renew(): void {
    this.generation += 1;
  }

  /** A group's children in the order that holds for it now. */
  of(group: TreeNode): Arranged {
    const { first, beyond } = group.children;
    if (!isWide(group)) return { front: [], rest: first, beyond };
    const held = this.held.get(group);
    if (
      held?.generation === this.generation &&
      held.first === first &&
      held.found === beyond &&
      held.foundCount === beyond.length
    ) {
      return held;
    }
    const made = { ...arrange(group), generation: this.generation };
    this.held.set(group, { ...made, first, found: beyond, foundCount: beyond.length });
    this.version += 1;
    return made;
  }
}

export function isWide(group: TreeNode): boolean {
  return group.childCount > WIDE;
}

function arrange({ children }: TreeNode): Arranged {
  const ranks: [TreeNode[], TreeNode[], TreeNode[]] = [[], [], []];
  const others = (nodes: readonly TreeNode[]) =>
    nodes.filter((node) => {
      const rank = ranks[rankOf(node)];
      rank?.push(node);
      return rank === undefined;
    });
  const rest = others(children.first);
  const beyond = others(children.beyond);
  return { front: ranks.flat(), rest, beyond };
}

/** What failed is 0, what runs 1, what is queued 2, everything else 3. */
export function rankOf(node: TreeNode): number {
  if (node.skipped) return REST;
  const { counts, state } = node;
  if (counts === null) {
    if (isFailed(state)) return FAILED;
    return state === "running" ? RUNNING : state === "queued" ? QUEUED : REST;
  }
  if (failures(counts) > 0) return FAILED;
  return counts.running > 0 ? RUNNING : counts.queued > 0 ? QUEUED : REST;
}

/** How many Execs in a state are known in a group, its children's counts included. */
export function knownIn({ children }: TreeNode, state: "running" | "queued"): number {
  const one = (node: TreeNode) => node.counts?.[state] ?? (node.state === state ? 1 : 0);
  const sum = (nodes: readonly TreeNode[]) => nodes.reduce((known, node) => known + one(node), 0);
  return sum(children.first) + sum(children.beyond);
}
