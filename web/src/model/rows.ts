/** From the tree to the flat list of rows that is scrolled, and which groups stand open. */

import type { TreeNode } from "@/model/node";
import { Arrangement } from "@/model/order";
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

/** Open or closed, as the reader chose; the others follow their state. */
export type Choices = ReadonlyMap<string, boolean>;

const NOTHING_CHOSEN: Choices = new Map();

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

/** Of what was chosen, what differs from how the groups would stand by themselves. */
export function differing(model: TreeModel, choices: Choices): Choices {
  const small = isSmall(model);
  const told = [...choices].filter(([path, open]) => {
    const node = model.nodes.get(path);
    return node === undefined || open !== isOpen(node, NOTHING_CHOSEN, small);
  });
  return new Map(told);
}

export function isSmall(model: TreeModel): boolean {
  return total(model.summary.counts) <= SMALL;
}

/** The rows of a tree, parents before children. `order` may hold an order that was shown before. */
export function flatten(model: TreeModel, choices: Choices, order = new Arrangement()): Row[] {
  const root = model.root;
  if (root === undefined) return [];
  const small = isSmall(model);
  const rows: Row[] = [];
  addRows(rows, root, { order, isOpen: (node) => isOpen(node, choices, small) });
  return rows;
}

interface Shown {
  order: Arrangement;
  isOpen: (node: TreeNode) => boolean;
}

function addRows(rows: Row[], node: TreeNode, shown: Shown): void {
  if (!isGroup(node.type)) {
    rows.push({ kind: "node", key: node.path, node, open: null });
    return;
  }
  const open = shown.isOpen(node);
  rows.push({ kind: "node", key: node.path, node, open });
  if (!open) return;
  const children = node.children;
  const { front, rest, beyond } = shown.order.of(node);
  for (const child of front) addRows(rows, child, shown);
  for (const child of rest) addRows(rows, child, shown);
  if (!children.loaded || children.next !== null) {
    rows.push({ kind: "more", key: `${node.path} more`, group: node, depth: node.depth + 1 });
  }
  for (const child of beyond) addRows(rows, child, shown);
}
