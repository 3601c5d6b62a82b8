/** Rows for nodes, below rows for their groups. */

import { groupOf } from "@/run/timeline/model/groupLanes";
import type { Bar, Lane } from "@/run/timeline/model/lanes";
import { depthOf, nameOf, ROOT } from "@/run/model/paths";
import { lanesByNode } from "@/run/timeline/model/timeline";

/** With more nodes than this, only as many levels are open as give at most this many rows. */
export const MAX_ROWS = 200;

/** Groups that the user opened or closed. */
export type Opened = ReadonlyMap<string, boolean>;

export interface NestedOptions {
  /** The group whose nodes are shown. */
  root: string;
  now: number;
  /** `all` opens every group, `groups` none; null chooses by the number of nodes. */
  rows: string | null;
  opened: Opened;
}

/** A group of nodes that have run. */
interface Branch {
  readonly path: string;
  /** All nodes below. */
  readonly nodes: Lane[];
  readonly children: Map<string, Branch | Lane>;
}

/** Rows by node. `grouped` is null if there are too few nodes for a choice. */
export function rowsByNode(
  bars: Iterable<Bar>,
  options: NestedOptions,
): { lanes: Lane[]; grouped: boolean | null } {
  const { root, rows } = options;
  const nodes = lanesByNode(bars);
  const tree = branchOf(nodes, root);
  if (nodes.length <= MAX_ROWS || rows === "all") {
    const lanes = rowsBelow(tree, 0, Infinity, options);
    return { lanes, grouped: nodes.length <= MAX_ROWS ? null : false };
  }
  const level = deepestLevel(nodes, root, MAX_ROWS);
  if (level > depthOf(root)) return { lanes: rowsBelow(tree, 0, level, options), grouped: true };
  // With a single group, show its nodes, or the group on request.
  const grouped = rows === "groups";
  const lanes = grouped ? rowsOf(tree, root, 0, 0, options) : rowsBelow(tree, 0, Infinity, options);
  return { lanes, grouped };
}

function branchOf(nodes: readonly Lane[], root: string): Branch {
  const top: Branch = { path: root, nodes: [], children: new Map() };
  for (const lane of nodes) add(top, lane);
  return top;
}

function add(top: Branch, lane: Lane): void {
  const { key: path } = lane;
  let at = top;
  for (;;) {
    at.nodes.push(lane);
    const start = at.path === ROOT ? 1 : at.path.length + 1;
    const slash = path.indexOf("/", start);
    const child = slash === -1 ? path : path.slice(0, slash);
    if (child === path) {
      at.children.set(path, lane);
      return;
    }
    let next = at.children.get(child);
    if (next === undefined || "key" in next) {
      next = { path: child, nodes: [], children: new Map() };
      at.children.set(child, next);
    }
    at = next;
  }
}

/** The deepest level that has at most `max` rows. */
function deepestLevel(lanes: readonly Lane[], root: string, max: number): number {
  const top = depthOf(root);
  const bottom = lanes.reduce((deepest, lane) => Math.max(deepest, depthOf(lane.key)), top);
  let level = top;
  while (level < bottom && keysAt(lanes, level + 1) <= max) level += 1;
  return level;
}

function keysAt(lanes: readonly Lane[], level: number): number {
  return new Set(lanes.map((lane) => ancestorAt(lane.key, level))).size;
}

/** The ancestor at a depth, or the node itself if it is not deeper. */
function ancestorAt(path: string, level: number): string {
  if (level === 0) return ROOT;
  let end = 0;
  for (let depth = 0; depth < level && end !== -1; depth += 1) end = path.indexOf("/", end + 1);
  return end === -1 ? path : path.slice(0, end);
}

/** The rows of the children; groups above `level` are open. */
function rowsBelow(above: Branch, depth: number, level: number, options: NestedOptions): Lane[] {
  return [...above.children.values()].flatMap((child) =>
    "key" in child
      ? [{ ...child, label: nameOf(child.key), depth }]
      : rowsOf(child, above.path, depth, level, options),
  );
}

/** The row of a group, and the rows below it. Groups with a single group share its row. */
function rowsOf(
  group: Branch,
  above: string,
  depth: number,
  level: number,
  options: NestedOptions,
): Lane[] {
  const shown = withoutChain(group);
  const { path } = shown;
  const open = options.opened.get(path) ?? depthOf(path) < level;
  const label = path === above ? path : path.slice(above === ROOT ? 1 : above.length + 1);
  const totals = groupOf(shown.nodes, options.now);
  const row: Lane = { key: path, label, bars: [], group: totals, depth, open };
  return open ? [row, ...rowsBelow(shown, depth + 1, level, options)] : [row];
}

function withoutChain(group: Branch): Branch {
  let at = group;
  for (;;) {
    const [only] = at.children.values();
    if (only === undefined || at.children.size > 1 || "key" in only) return at;
    at = only;
  }
}
