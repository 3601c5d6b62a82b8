/**
 * What the page knows of a pipeline's tree, fed with pages of children and batches of events.
 *
 * Pure: no fetching, no clock, no DOM. Only what a reader has opened is held, so the cost does not
 * grow with the pipeline. States and counts of groups are the server's; no rule of theirs is
 * written here a second time.
 */

import type { Counts, EventBatch, NodeChange, NodeView, PipelineSummary } from "@/api/schema";
import { newNode, takeChange, takeCounts, takeView, type TreeNode } from "@/model/node";
import { rankOf, REST } from "@/model/order";
import { ancestorsOf, isWithin, parentOf, ROOT } from "@/model/paths";
import { isGroup } from "@/model/states";

interface CountsAt {
  seq: number;
  counts: Counts;
}

/** A page of a group's children. */
export interface ChildPage {
  seq: number;
  nodes: readonly NodeView[];
  next: string | null;
}

export class TreeModel {
  readonly nodes = new Map<string, TreeNode>();
  /** Newest change that is known: where the event stream goes on from. */
  seq: number;
  summary: PipelineSummary;
  /** Moves with every change of what is shown. */
  version = 0;
  /** Groups whose list of children is out of date, since a Lazy printed new ones. */
  readonly stale = new Set<string>();

  // While pages are under way, what changed meanwhile, also of nodes that are not known yet: a
  // page may be older than the events that overtook it.
  private loads = 0;
  private readonly overtaking = new Map<string, NodeChange>();
  private readonly overtakingCounts = new Map<string, CountsAt>();

  constructor(summary: PipelineSummary) {
    this.summary = summary;
    this.seq = summary.seq;
  }

  get root(): TreeNode | undefined {
    return this.nodes.get(ROOT);
  }

  /** Say that a page is asked for; `endLoad` follows, whether it comes or not. */
  beginLoad(): void {
    this.loads += 1;
  }

  endLoad(): void {
    this.loads -= 1;
    if (this.loads > 0) return;
    this.overtaking.clear();
    this.overtakingCounts.clear();
  }

  /** Take a group's next children. `fresh` ones replace what was known of them. */
  addChildren(path: string, page: ChildPage, fresh: boolean): void {
    const group = this.make(path, "Parallel");
    const children = group.children;
    if (fresh) this.startOver(group, page);
    const listed = new Set(children.first);
    for (const view of page.nodes) listed.add(this.take(view, page.seq));
    children.first = [...listed];
    children.beyond = page.next === null ? [] : children.beyond.filter((one) => !listed.has(one));
    children.next = page.next;
    children.loaded = true;
    this.stale.delete(path);
    this.version += 1;
  }

  /** Take nodes that a search, a link or an error led to, wherever they are. */
  addFound(views: readonly NodeView[], seq: number): void {
    for (const view of views) this.take(view, seq);
    this.version += 1;
  }

  /** Take a batch of changes. */
  apply(batch: EventBatch): void {
    const seq = batch.pipeline.seq;
    for (const change of batch.changes) this.change(change);
    for (const [path, counts] of Object.entries(batch.counts)) {
      if (this.loads > 0) this.overtakingCounts.set(path, { seq, counts });
      const node = this.nodes.get(path);
      if (node !== undefined && seq >= node.seq) takeCounts(node, counts);
    }
    // The summary may be newer than the changes that came with it: it does not move the cursor.
    this.summary = batch.pipeline;
    this.version += 1;
  }

  private change(change: NodeChange): void {
    this.seq = Math.max(this.seq, change.seq);
    if (this.loads > 0) this.overtaking.set(change.path, change);
    const node = this.nodes.get(change.path);
    if (node === undefined) {
      this.noteStranger(change.path);
    } else if (takeChange(node, change)) {
      this.followLazy(node);
    }
  }

  /** A node that a whole list of children does not have is a new one. */
  private noteStranger(path: string): void {
    const parent = this.nodes.get(parentOf(path) ?? ROOT);
    if (parent?.children.loaded === true && parent.children.next === null) {
      this.stale.add(parent.path);
    }
  }

  /** A Lazy's `Generate` prints the children of its `Execute`: new ones, or none after a reset. */
  private followLazy(node: TreeNode): void {
    if (node.type !== "Exec" || node.name !== "Generate") return;
    const target = this.nodes.get(`${parentOf(node.path) ?? ""}/Execute`);
    if (target !== undefined) this.stale.add(target.path);
  }

  private take(view: NodeView, seq: number): TreeNode {
    const node = this.make(view.path, view.type);
    takeView(node, view, seq);
    const later = this.overtaking.get(view.path);
    if (later !== undefined) takeChange(node, later);
    const counts = this.overtakingCounts.get(view.path);
    if (counts !== undefined && counts.seq >= node.seq) takeCounts(node, counts.counts);
    return node;
  }

  /** The node of a path; it, and what is above it, is made where it is not known. */
  private make(path: string, type: NodeView["type"]): TreeNode {
    const known = this.nodes.get(path);
    if (known !== undefined) return known;
    for (const above of ancestorsOf(path)) {
      if (!this.nodes.has(above)) this.insert(newNode(above, "Parallel"));
    }
    return this.insert(newNode(path, type));
  }

  private insert(node: TreeNode): TreeNode {
    this.nodes.set(node.path, node);
    const parent = this.nodes.get(parentOf(node.path) ?? "");
    parent?.children.beyond.push(node);
    return node;
  }

  private startOver(group: TreeNode, page: ChildPage): void {
    const kept = new Set(page.nodes.map((view) => view.path));
    const children = group.children;
    const known = [...children.first, ...children.beyond];
    // Of a list that goes on, what is beyond it may still be there.
    const gone = new Set(page.next === null ? known.filter((child) => !kept.has(child.path)) : []);
    for (const child of gone) this.forget(child.path);
    children.first = [];
    children.beyond = known.filter((child) => !gone.has(child));
  }

  /**
   * Forget Execs of a group that were found beyond its loaded ones when they failed, ran or were
   * queued, and no longer do; only where there are more than `most` of them. `kept` stays.
   */
  forgetFound(path: string, most: number, kept: string): void {
    const children = this.nodes.get(path)?.children;
    if (children === undefined || children.beyond.length <= most) return;
    const gone = (node: TreeNode) =>
      node.type === "Exec" && node.path !== kept && rankOf(node) === REST;
    for (const node of children.beyond) if (gone(node)) this.forget(node.path);
    children.beyond = children.beyond.filter((node) => !gone(node));
    this.version += 1;
  }

  private forget(root: string): void {
    const node = this.nodes.get(root);
    if (node === undefined) return;
    for (const child of [...node.children.first, ...node.children.beyond]) this.forget(child.path);
    this.nodes.delete(root);
    this.stale.delete(root);
  }

  /** Known nodes below a group, itself included; for selections. */
  *within(root: string): Generator<TreeNode> {
    for (const node of this.nodes.values()) if (isWithin(node.path, root)) yield node;
  }

  /** Whether a node is a group. Of an unknown one nothing is said. */
  isGroup(path: string): boolean {
    const node = this.nodes.get(path);
    return node !== undefined && isGroup(node.type);
  }
}
