/** Flattens the tree into rows, and decides which groups are open. */

import { type Fold, REST_FOLD, sectionsOf } from "@/run/tree/model/folds";
import type { TreeNode } from "@/run/model/node";
import { isWithin, ROOT } from "@/run/model/paths";
import { RowOrder } from "@/run/tree/model/sorting";
import { failures, isGroup, total } from "@/run/model/states";
import type { TreeModel } from "@/run/tree/model/tree";

export interface NodeRow {
  kind: "node";
  key: string;
  node: TreeNode;
  open: boolean | null;
  level: number;
  /** The first of the groups with a single child that this row stands for; else its own path. */
  top: string;
}

export type Row =
  | NodeRow
  /** Children that are loaded when this row is visible. */
  | { kind: "more"; key: string; group: TreeNode; level: number }
  /** Children that are folded. */
  | { kind: "fold"; key: string; fold: Fold; open: boolean; level: number };

/** The tree as a filter of the output of a group. */
export interface OutputFilter {
  /** Whether the output of a node is shown; null outside of the group. */
  checkOf: (path: string) => boolean | "mixed" | null;
  /** The CSS colour of the output of a command. */
  colourOf: (path: string) => string;
  toggle: (path: string) => void;
  /** Shows only failed commands. */
  onlyFailed: boolean;
}

/** The output of a node, as far as it is loaded. */
export interface OutputCount {
  /** `214 lines`, or `3 matches` of a search. */
  text: string;
  errors: number;
}

/** In pipelines with at most this many commands, all groups are open. */
const SMALL_PIPELINE = 40;
/** A running group with at most this many commands opens automatically. */
const AUTO_OPEN_LIMIT = 100;

/** Groups that the user opened or closed. */
export type Choices = ReadonlyMap<string, boolean>;

const NO_CHOICES: Choices = new Map();
const NO_FOLDS: ReadonlySet<string> = new Set();

/** Whether a group is open. Groups with failures open and completed groups close automatically. */
export function isOpen(node: TreeNode, choices: Choices, small: boolean): boolean {
  const chosen = choices.get(node.path);
  if (chosen !== undefined) return chosen;
  if (node.path === ROOT) return true;
  const counts = node.counts;
  if (counts === null) return true; // known only as the parent of a requested node
  if (small) return true;
  if (node.skipped || node.state === "done") return false;
  if (failures(counts) > 0) return true;
  return node.state === "running" && total(counts) <= AUTO_OPEN_LIMIT;
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
  const count = total(model.summary.counts);
  return count > 0 && count <= SMALL_PIPELINE;
}

export interface RowOptions {
  choices?: Choices;
  /** May hold an earlier order. */
  order?: RowOrder;
  /** Keys of the folds that are open. */
  unfolded?: ReadonlySet<string>;
  /** A node that is always shown. */
  current?: string;
}

/** The rows of a tree, parents first. */
export function flatten(model: TreeModel, options: RowOptions = {}): Row[] {
  const { root } = model;
  if (root === undefined) return [];
  const { choices = NO_CHOICES, order = new RowOrder(), unfolded = NO_FOLDS } = options;
  const small = isSmall(model);
  return new Flattener(order, unfolded, options.current ?? ROOT, (node) =>
    isOpen(node, choices, small),
  ).rowsOf(root);
}

class Flattener {
  private readonly rows: Row[] = [];

  constructor(
    private readonly order: RowOrder,
    private readonly unfolded: ReadonlySet<string>,
    private readonly current: string,
    private readonly isOpen: (node: TreeNode) => boolean,
  ) {}

  rowsOf(root: TreeNode): Row[] {
    this.add(root, 0, root.path);
    return this.rows;
  }

  private add(node: TreeNode, level: number, top: string): void {
    const open = isGroup(node.type) ? this.isOpen(node) : null;
    const only = open === true && node.path !== ROOT ? onlyGroup(node) : null;
    if (only !== null) {
      this.add(only, level, top);
      return;
    }
    this.rows.push({ kind: "node", key: node.path, node, open, level, top });
    if (open === true) this.addChildren(node, level + 1);
  }

  private addChildren(group: TreeNode, level: number): void {
    const sorted = this.order.childrenOf(group);
    const sections = sectionsOf(group, sorted, this.current);
    const more = { kind: "more", key: `${group.path} more`, group, level } as const;
    const isMissing = !group.children.loaded || group.children.next !== null;
    let pending = isMissing && !sections.some(({ fold }) => this.hides(group, fold));
    for (const { fold, nodes } of sections) {
      if (fold !== null && !this.addFold(group, fold, level)) continue;
      for (const node of nodes) {
        // Children that are not loaded come before those beyond them.
        if (pending && node === sorted.beyond[0]) {
          this.rows.push(more);
          pending = false;
        }
        this.add(node, level, node.path);
      }
    }
    if (pending) this.rows.push(more);
  }

  /** Whether a closed fold also stands for the children that are not loaded. */
  private hides(group: TreeNode, fold: Fold | null): boolean {
    return fold?.name === REST_FOLD && !this.unfolded.has(foldKey(group, fold));
  }

  /** Add the row of a fold. Returns whether it is open. */
  private addFold(group: TreeNode, fold: Fold, level: number): boolean {
    const key = foldKey(group, fold);
    const open = this.unfolded.has(key);
    this.rows.push({ kind: "fold", key, fold, open, level });
    return open;
  }
}

function foldKey(group: TreeNode, fold: Fold): string {
  return `${group.path} ${fold.name}`;
}

/** The only child of a group if it is a group, too. */
function onlyGroup({ children, childCount }: TreeNode): TreeNode | null {
  const [only] = children.first;
  const isOnly = childCount === 1 && children.loaded && only !== undefined;
  return isOnly && isGroup(only.type) ? only : null;
}

/** The index of the row that shows a node. */
export function rowOf(rows: readonly Row[], path: string): number {
  return rows.findIndex(
    (row) => row.kind === "node" && isWithin(path, row.top) && isWithin(row.key, path),
  );
}

/** The name of a row: of groups with a single child, all names. */
export function nameOfRow({ node, top }: NodeRow): string {
  if (top === node.path) return node.name;
  return node.path.slice(top.lastIndexOf("/") + 1);
}
