/**
 * The loaded part of a pipeline's tree, updated by pages and events.
 *
 * Pure: no fetching, no clock, no DOM. It holds only what the user opened, so its cost does not
 * depend on the size of the pipeline. States and counts of groups come from the server.
 */

import type { Counts, EventBatch, NodeChange, NodeView, PipelineSummary } from "@/api/schema";
import {
  applyChange,
  applyCounts,
  applyTime,
  applyView,
  isEdit,
  isFromCache,
  newNode,
  type TreeNode,
} from "@/run/model/node";
import { failureReason } from "@/run/model/failures";
import { ancestorsOf, isWithin, parentOf, ROOT } from "@/run/model/paths";
import { rankOf, REST } from "@/run/tree/model/sorting";
import { isFinished, isGroup } from "@/run/model/states";

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
  /** Newest known change, at which the event stream resumes. */
  seq: number;
  summary: PipelineSummary;
  /** Incremented on every visible change. */
  version = 0;
  /** Groups whose children are outdated because a Lazy generated new ones. */
  readonly stale = new Set<string>();
  /** Commands that must be fetched again: edited ones, and those that are done without running. */
  readonly edited = new Set<string>();
  /** Pending nodes by the path for which they wait; "" for none. */
  private readonly waiting = new Map<string, Set<TreeNode>>();
  /** `{path: reason}` of failed commands. */
  private readonly reasons = new Map<string, { attempt: number; text: string }>();

  // Changes that arrive while pages load, also of unknown nodes: a page may be older than
  // events received before it.
  private loads = 0;
  private readonly newerChanges = new Map<string, NodeChange>();
  private readonly newerCounts = new Map<string, CountsAt>();

  constructor(summary: PipelineSummary) {
    this.summary = summary;
    this.seq = summary.seq;
  }

  get root(): TreeNode | undefined {
    return this.nodes.get(ROOT);
  }

  /** Record changes until `endLoad`, because the page may be older. */
  beginLoad(): void {
    this.loads += 1;
  }

  endLoad(): void {
    this.loads -= 1;
    if (this.loads > 0) return;
    this.newerChanges.clear();
    this.newerCounts.clear();
  }

  /** Add a page of children. `fresh` replaces the known ones. */
  addChildren(path: string, page: ChildPage, fresh: boolean): void {
    const group = this.getOrCreate(path, "Parallel");
    const children = group.children;
    if (fresh) this.replaceChildren(group, page);
    const listed = new Set(children.first);
    for (const view of page.nodes) listed.add(this.insertView(view, page.seq));
    children.first = [...listed];
    children.beyond = page.next === null ? [] : children.beyond.filter((one) => !listed.has(one));
    children.next = page.next;
    children.loaded = true;
    this.stale.delete(path);
    this.version += 1;
  }

  /** Add nodes from a search, link or failure. */
  addFound(views: readonly NodeView[], seq: number): void {
    for (const view of views) this.insertView(view, seq);
    this.version += 1;
  }

  /** Record why commands failed. */
  addReasons(views: readonly NodeView[]): void {
    for (const view of views) {
      const attempt = view.attempts.at(-1)?.number ?? 0;
      this.reasons.set(view.path, { attempt, text: failureReason(view) });
      const node = this.nodes.get(view.path);
      if (node !== undefined) node.revision += 1;
    }
    this.version += 1;
  }

  /** Why the newest attempt of a node failed; null if unknown. */
  reasonOf({ path, attempt }: TreeNode): string | null {
    const known = this.reasons.get(path);
    return known?.attempt === attempt ? known.text : null;
  }

  apply(batch: EventBatch): void {
    const seq = batch.pipeline.seq;
    for (const change of batch.changes) {
      this.change(change);
      const node = this.nodes.get(change.path);
      if (node?.seq === change.seq) node.actor = batch.actors[change.path] ?? null;
    }
    if (batch.pipeline.pipeline.armed !== this.summary.pipeline.armed) {
      for (const holder of [...this.waiting.keys()]) this.forgetWaits(holder);
    }
    for (const [path, counts] of Object.entries(batch.counts)) {
      if (this.loads > 0) this.newerCounts.set(path, { seq, counts });
      const node = this.nodes.get(path);
      if (node !== undefined && seq >= node.seq) applyCounts(node, counts);
    }
    for (const [path, time] of Object.entries(batch.times)) {
      const node = this.nodes.get(path);
      if (node !== undefined && seq >= node.seq) applyTime(node, time);
    }
    // The summary may be newer than its changes, so it does not move the cursor.
    this.summary = batch.pipeline;
    this.version += 1;
  }

  /** Forget why pending nodes wait, if it is for this node: it ended or was reset. */
  private forgetWaits(holder: string): void {
    for (const node of this.waiting.get(holder) ?? []) {
      if (node.state !== "pending") continue;
      node.waitsFor = null;
      node.waitKind = null;
      node.revision += 1;
    }
    this.waiting.delete(holder);
  }

  private change(change: NodeChange): void {
    this.seq = Math.max(this.seq, change.seq);
    if (this.loads > 0) this.newerChanges.set(change.path, change);
    const node = this.nodes.get(change.path);
    if (node === undefined) {
      this.markNewNode(change.path);
      return;
    }
    if (isFinished(node.state) !== isFinished(change.state)) this.forgetWaits(change.path);
    if (isEdit(node, change) || isFromCache(node, change)) this.edited.add(node.path);
    if (applyChange(node, change)) {
      this.markLazyStale(node);
    }
  }

  /** A node missing from a complete list of children is new. */
  private markNewNode(path: string): void {
    const parent = this.nodes.get(parentOf(path) ?? ROOT);
    if (parent?.children.loaded === true && parent.children.next === null) {
      this.stale.add(parent.path);
    }
  }

  /** A Lazy's `Generate` creates the children of its `Execute`; a reset removes them. */
  private markLazyStale(node: TreeNode): void {
    if (node.type !== "Exec" || node.name !== "Generate") return;
    const target = this.nodes.get(`${parentOf(node.path) ?? ""}/Execute`);
    if (target !== undefined) this.stale.add(target.path);
  }

  private insertView(view: NodeView, seq: number): TreeNode {
    const node = this.getOrCreate(view.path, view.type);
    applyView(node, view, seq);
    const later = this.newerChanges.get(view.path);
    if (later !== undefined) applyChange(node, later);
    if (node.waitsFor !== null && node.state === "pending") {
      const holder = view.wait_holder ?? "";
      const waiting = this.waiting.get(holder) ?? new Set();
      this.waiting.set(holder, waiting.add(node));
    }
    const counts = this.newerCounts.get(view.path);
    if (counts !== undefined && counts.seq >= node.seq) applyCounts(node, counts.counts);
    return node;
  }

  /** The node of a path; it and its ancestors are created if unknown. */
  private getOrCreate(path: string, type: NodeView["type"]): TreeNode {
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

  private replaceChildren(group: TreeNode, page: ChildPage): void {
    const kept = new Set(page.nodes.map((view) => view.path));
    const children = group.children;
    const known = [...children.first, ...children.beyond];
    // If the list continues, nodes beyond it may still exist.
    const gone = new Set(page.next === null ? known.filter((child) => !kept.has(child.path)) : []);
    for (const child of gone) this.remove(child.path);
    children.first = [];
    children.beyond = known.filter((child) => !gone.has(child));
  }

  /**
   * If there are more than `max` nodes beyond the loaded range of a group, remove those that are no
   * longer active or failed, except `kept`.
   */
  pruneFound(path: string, max: number, kept: string): void {
    const children = this.nodes.get(path)?.children;
    if (children === undefined || children.beyond.length <= max) return;
    const gone = (node: TreeNode) =>
      node.type === "Exec" && node.path !== kept && rankOf(node) === REST;
    for (const node of children.beyond) if (gone(node)) this.remove(node.path);
    children.beyond = children.beyond.filter((node) => !gone(node));
    this.version += 1;
  }

  private remove(root: string): void {
    const node = this.nodes.get(root);
    if (node === undefined) return;
    for (const child of [...node.children.first, ...node.children.beyond]) this.remove(child.path);
    this.nodes.delete(root);
    this.stale.delete(root);
  }

  /** Known nodes at or below a path. */
  *within(root: string): Generator<TreeNode> {
    for (const node of this.nodes.values()) if (isWithin(node.path, root)) yield node;
  }

  /** Whether a known node is a group. */
  isGroup(path: string): boolean {
    const node = this.nodes.get(path);
    return node !== undefined && isGroup(node.type);
  }
}
