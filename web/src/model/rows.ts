/** From the tree to the flat list of rows that is scrolled, and which groups stand open. */

import type { TreeNode } from "@/model/node";
import { ROOT } from "@/model/paths";
import { failures, isGroup, total } from "@/model/states";
import type { TreeModel } from "@/model/tree";

export type Row =
  | { kind: "node"; key: string; node: TreeNode; open: boolean | null }
  /** Children that are not loaded yet: they are when this comes into view. */
  | { kind: "more"; key: string; group: TreeNode; depth: number };

/** Pipelines up to this many Execs show what waits and runs without a click. */
const SMALL = 40;
/** A group that runs is opened by itself when it has at most this many Execs. */
const LEGIBLE = 100;

/** In a group of more children than this, those that failed come first. */
const WIDE = 100;

/** Open or closed, as the reader chose; the others follow their state. */
export type Choices = ReadonlyMap<string, boolean>;

/** Whether a group stands open: errors open by themselves, what is done closes. */
export function isOpen(node: TreeNode, choices: Choices, small: boolean): boolean {
  const chosen = choices.get(node.path);
  if (chosen !== undefined) return chosen;
  if (node.path === ROOT) return true;
  const counts = node.counts;
  if (counts === null) return true; // known only through a child that was asked for
  if (node.skipped || node.state === "done") return false;
  if (failures(counts) > 0) return true;
  return small || (node.state === "running" && total(counts) <= LEGIBLE);
}

export function isSmall(model: TreeModel): boolean {
  return total(model.summary.counts) <= SMALL;
}

/** The rows of a tree, parents before children. */
export function flatten(model: TreeModel, choices: Choices): Row[] {
  const rows: Row[] = [];
  const root = model.root;
  if (root !== undefined) addRows(rows, root, choices, isSmall(model));
  return rows;
}

function addRows(rows: Row[], node: TreeNode, choices: Choices, small: boolean): void {
  if (!isGroup(node.type)) {
    rows.push({ kind: "node", key: node.path, node, open: null });
    return;
  }
  const open = isOpen(node, choices, small);
  rows.push({ kind: "node", key: node.path, node, open });
  if (!open) return;
  const children = node.children;
  const wide = node.childCount > WIDE;
  if (wide) {
    const failing = [...children.first, ...children.beyond].filter(hasFailed);
    for (const child of failing) addRows(rows, child, choices, small);
  }
  for (const child of children.first) {
    if (!wide || !hasFailed(child)) addRows(rows, child, choices, small);
  }
  if (!children.loaded || children.next !== null) {
    rows.push({ kind: "more", key: `${node.path} more`, group: node, depth: node.depth + 1 });
  }
  for (const child of children.beyond) {
    if (!wide || !hasFailed(child)) addRows(rows, child, choices, small);
  }
}

function hasFailed(node: TreeNode): boolean {
  if (node.skipped) return false;
  if (node.counts !== null) return failures(node.counts) > 0;
  return node.state === "error" || node.state === "killed";
}
