/**
 * The display order of a group's children.
 *
 * Failed children come first in every group. Running and queued ones come next, except in a short
 * Serial, where the order matters. The others are in definition order. The order is
 * kept until `refresh` is called or a child is added, so that rows do not jump while states change
 * quickly.
 */

import { timeOf, type TreeNode } from "@/run/model/node";
import { failures, isFailed } from "@/run/model/states";

/** Groups with more children are never loaded completely at first. */
const LARGE = 100;
/** A Serial with at most this many children keeps running and queued ones in their places. */
const SHORT_SERIAL = 20;

/** Ranks of the children that come first. */
export const FAILED = 0;
const RUNNING = 1;
const QUEUED = 2;
export const REST = 3;

/** The sorted children of a group. Children that are not loaded come before `beyond`. */
export interface SortedChildren {
  active: readonly TreeNode[];
  rest: readonly TreeNode[];
  beyond: readonly TreeNode[];
}

/** Sort keys of the rows: by state, the slowest first, or as defined. */
export const ORDERS = ["state", "time", "definition"] as const;
export type Order = (typeof ORDERS)[number];

interface CachedOrder extends SortedChildren {
  generation: number;
  first: readonly TreeNode[];
  found: readonly TreeNode[];
  foundCount: number;
}

/** Caches the order of each group. */
export class RowOrder {
  /** Incremented when rows may have moved. */
  version = 0;

  /** The chosen order. */
  by: Order = "state";

  private generation = 0;
  private readonly cached = new WeakMap<TreeNode, CachedOrder>();

  /** Let the order follow the current states. */
  refresh(): void {
    this.generation += 1;
  }

  /** Sort the rows differently. */
  choose(by: Order): void {
    this.by = by;
    this.refresh();
  }

  childrenOf(group: TreeNode): SortedChildren {
    const { first, beyond } = group.children;
    const held = this.cached.get(group);
    if (
      held?.generation === this.generation &&
      held.first === first &&
      held.found === beyond &&
      held.foundCount === beyond.length
    ) {
      return held;
    }
    const made = { ...sorted(group, this.by), generation: this.generation };
    this.cached.set(group, { ...made, first, found: beyond, foundCount: beyond.length });
    this.version += 1;
    return made;
  }
}

export function isLargeGroup(group: TreeNode): boolean {
  return group.childCount > LARGE;
}

function sorted(group: TreeNode, by: Order): SortedChildren {
  const { first, beyond } = group.children;
  if (by === "state") return sortChildren(group);
  if (by === "definition") return { active: [], rest: first, beyond };
  const slowestFirst = [...first, ...beyond]
    .map((node) => ({ node, took: timeOf(node, Infinity) ?? -1 }))
    .toSorted((one, other) => (one.took === other.took ? 0 : other.took - one.took));
  return { active: [], rest: slowestFirst.map(({ node }) => node), beyond: [] };
}

function sortChildren({ children, type, childCount }: TreeNode): SortedChildren {
  const onlyFailed = type === "Serial" && childCount <= SHORT_SERIAL;
  const ranks: TreeNode[][] = onlyFailed ? [[]] : [[], [], []];
  const others = (nodes: readonly TreeNode[]) =>
    nodes.filter((node) => {
      const rank = ranks[rankOf(node)];
      rank?.push(node);
      return rank === undefined;
    });
  const rest = others(children.first);
  const beyond = others(children.beyond);
  return { active: ranks.flat(), rest, beyond };
}

/** 0 for failed, 1 for running, 2 for queued, 3 for all others. */
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

/** Number of known commands in a state below a group. */
export function knownCount({ children }: TreeNode, state: "running" | "queued"): number {
  const one = (node: TreeNode) => node.counts?.[state] ?? (node.state === state ? 1 : 0);
  const sum = (nodes: readonly TreeNode[]) => nodes.reduce((known, node) => known + one(node), 0);
  return sum(children.first) + sum(children.beyond);
}
