/** Loads the failures of partly loaded groups, and their reasons. */

import type { NodeView } from "@/api/schema";
import { causesAt, findFailures } from "@/run/tree/live/search";
import { LiveSource } from "@/api/stream";
import { attempted, type TreeLoader } from "@/run/tree/live/treeLoader";
import type { TreeNode } from "@/run/model/node";
import { parentOf, ROOT } from "@/run/model/paths";
import { failures } from "@/run/model/states";

/** Number of failures loaded for a large group. */
const MAX_FAILURES = 50;
/** Number of causes that are added to the tree, and the interval of requesting their reasons. */
const MAX_REASONS = 100;
const REASONS_INTERVAL = 1500;
/** Minimum interval between searches for failures, in ms. */
const SEARCH_INTERVAL = 500;

export class FailureLoader extends LiveSource {
  /** Number of failures requested per group. */
  private readonly requested = new Map<string, number>();
  private searching = false;
  private searchedAt = -Infinity;
  /** Number of failures for which reasons were requested, and when. */
  private reasonsFor = 0;
  private reasonsAt = -Infinity;
  private firstReasons: Promise<void> | null = null;

  constructor(private readonly loader: TreeLoader) {
    super();
  }

  /** Load the failures that appeared below partly loaded groups. */
  update(partlyLoaded: () => readonly TreeNode[]): void {
    this.forgetFixed();
    if (!this.searching) this.loadFailures(partlyLoaded);
    this.loadReasons();
  }

  /** In one request if there are few failures, otherwise group by group. */
  private loadFailures(partlyLoaded: () => readonly TreeNode[]): void {
    const { counts } = this.loader.model.summary;
    const incomplete = partlyLoaded().filter(
      (group) => failureCount(group) > (this.requested.get(group.path) ?? 0),
    );
    const [first] = incomplete;
    if (first === undefined || this.searchLater()) return;
    const few = failures(counts) <= MAX_FAILURES;
    const groups = few ? incomplete : [first];
    for (const group of groups) this.requested.set(group.path, failureCount(group));
    void this.search(few ? { path: ROOT, counts } : first, groups);
  }

  private async search(
    root: Pick<TreeNode, "path" | "counts">,
    groups: readonly TreeNode[],
  ): Promise<void> {
    const { id } = this.loader;
    this.searching = true;
    try {
      await this.loader.found(findFailures(id, root.path, MAX_FAILURES, root.counts));
      this.searching = false;
      this.show();
    } catch {
      // The next change retries. Retrying immediately would loop while the server is unreachable.
      this.searching = false;
      for (const { path } of groups) this.requested.delete(path);
    }
  }

  /** Schedule a search if the previous one was too recent. Returns whether it was. */
  private searchLater(): boolean {
    const now = performance.now();
    const wait = this.searchedAt + SEARCH_INTERVAL - now;
    if (wait <= 0) this.searchedAt = now;
    else this.schedule("search", wait, () => this.show());
    return wait > 0;
  }

  /** Lower the requested numbers after a reset, so that new failures are loaded again. */
  private forgetFixed(): void {
    for (const [path, count] of this.requested) {
      const group = this.loader.model.nodes.get(path);
      const failed = group === undefined ? 0 : failureCount(group);
      if (failed < count) this.requested.set(path, failed);
    }
  }

  /** Request why commands failed, for the rows of the tree. */
  private loadReasons(): void {
    const failed = failures(this.loader.model.summary.counts);
    if (failed === 0) this.reasonsFor = 0;
    if (failed === this.reasonsFor || this.isScheduled("reasons")) return;
    const wait = Math.max(0, this.reasonsAt + REASONS_INTERVAL - performance.now());
    const fetched = new Promise<void>((resolve) => {
      this.schedule("reasons", wait, () => {
        this.reasonsFor = failed;
        this.reasonsAt = performance.now();
        void attempted(this.fetchReasons()).then(resolve, resolve);
      });
    });
    this.firstReasons ??= fetched;
  }

  /**
   * Wait for the first causes, if they are being fetched: with them, most groups with failures need
   * no other children.
   */
  async causes(): Promise<void> {
    await this.firstReasons;
  }

  private async fetchReasons(): Promise<void> {
    const { id, model } = this.loader;
    const { seq } = model;
    const causes = (await causesAt(id, model.summary.seq)).slice(0, MAX_REASONS);
    const isBelowKnown = ({ path }: NodeView) =>
      (model.nodes.get(parentOf(path) ?? "")?.seq ?? -1) >= 0;
    model.addFound(causes.filter(isBelowKnown), seq);
    model.addReasons(causes.filter(({ tail }) => tail !== null));
    this.show();
  }
}

function failureCount(group: TreeNode): number {
  return group.counts === null ? 0 : failures(group.counts);
}
