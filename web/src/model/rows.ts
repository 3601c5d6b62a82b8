/** Flattens the tree into rows, and decides which groups are open. */

import type { TreeNode } from "@/model/node";
import { ROOT } from "@/model/paths";
import { RowOrder } from "@/model/sorting";
import { failures, isGroup, total } from "@/model/states";
import type { TreeModel } from "@/model/tree";

export type Row =
  | { kind: "node"; key: string; node: TreeNode; open: boolean | null }
  /** Children that are loaded when this row is visible. */
  | { kind: "more"; key: string; group: TreeNode; depth: number };

/** In pipelines with at most this many commands, all active groups are open. */
const SMALL_PIPELINE = 40;
/** A running group with at most this many commands opens automatically. */
const AUTO_OPEN_LIMIT = 100;

/** Groups that the user opened or closed. */
export type Choices = ReadonlyMap<string, boolean>;

const NO_CHOICES: Choices = new Map();

/** Whether a group is open. Groups with failures open and completed groups close automatically. */
export function isOpen(node: TreeNode, choices: Choices, small: boolean): boolean {
  const chosen = choices.get(node.path);
  if (chosen !== undefined) return chosen;
  if (node.path === ROOT) return true;
  const counts = node.counts;
  if (counts === null) return true; // known only as the parent of a requested node
  if (node.skipped || node.state === "done") return false;
  if (failures(counts) > 0) return true;
  return small || (node.state === "running" && total(counts) <= AUTO_OPEN_LIMIT);
}

/** The choices that differ from the automatic state. */
export function nonDefault(model: TreeModel, choices: Choices): Choices {
  const small = isSmall(model);
  const explicit = [...choices].filter(([path, open]) => {
    const node = model.nodes.get(path);
    return node === undefined || open !== isOpen(node, NO_CHOICES, small);
  });
  return new Map(explicit);
}

export function isSmall(model: TreeModel): boolean {
  return total(model.summary.counts) <= SMALL_PIPELINE;
}

/** The rows of a tree, parents first. `order` may hold an earlier order. */
export function flatten(model: TreeModel, choices: Choices, order = new RowOrder()): Row[] {
  const root = model.root;
  if (root === undefined) return [];
  const small = isSmall(model);
  const rows: Row[] = [];
  addRows(rows, root, { order, isOpen: (node) => isOpen(node, choices, small) });
  return rows;
}

interface RowOptions {
  order: RowOrder;
  isOpen: (node: TreeNode) => boolean;
}

function addRows(rows: Row[], node: TreeNode, shown: RowOptions): void {
  if (!isGroup(node.type)) {
    rows.push({ kind: "node", key: node.path, node, open: null });
    return;
  }
  const open = shown.isOpen(node);
  rows.push({ kind: "node", key: node.path, node, open });
  if (!open) return;
  const children = node.children;
  const { active, rest, beyond } = shown.order.childrenOf(node);
  for (const child of active) addRows(rows, child, shown);
  for (const child of rest) addRows(rows, child, shown);
  if (!children.loaded || children.next !== null) {
    rows.push({ kind: "more", key: `${node.path} more`, group: node, depth: node.depth + 1 });
  }
  for (const child of beyond) addRows(rows, child, shown);
}
