/** Reorders the rows of the tree, and loads the running and queued commands that come first. */

import { firstMatches } from "@/run/tree/live/search";
import { LiveSource } from "@/api/stream";
import { attempted, type TreeLoader } from "@/run/tree/live/treeLoader";
import type { TreeNode } from "@/run/model/node";
import { PREFETCH_LIMIT, PrefetchQueue } from "@/run/model/prefetch";

/**
 * Minimum intervals between reorderings of rows, in ms; longer while the pointer is over the tree.
 */
const SORT_INTERVAL = 1000;
const HOVERED_SORT_INTERVAL = 4000;
/** Maximum number of nodes per group that are kept outside its loaded range. */
const MAX_FOUND = 300;

interface Rows {
  /** Sort the rows. */
  sort: () => void;
  hasOpenGroup: () => boolean;
  partlyLoaded: () => readonly TreeNode[];
  /** The selected node; it is never pruned. */
  selected: () => string;
}

export class RowSorter extends LiveSource {
  hovered = false;
  private sortedAt = -Infinity;
  private sortedVersion = -1;
  private prefetching = false;
  private readonly queue = new PrefetchQueue();

  constructor(
    private readonly loader: TreeLoader,
    private readonly rows: Rows,
  ) {
    super();
  }

  /** Reorder rows after state changes, at a limited rate. */
  update(): void {
    const { version } = this.loader.model;
    if (this.isScheduled("sort") || version === this.sortedVersion) return;
    if (!this.rows.hasOpenGroup()) return;
    const every = this.hovered ? HOVERED_SORT_INTERVAL : SORT_INTERVAL;
    const wait = Math.max(0, this.sortedAt + every - performance.now());
    this.schedule("sort", wait, () => this.sort());
  }

  private sort(): void {
    this.sortedAt = performance.now();
    this.sortedVersion = this.loader.model.version;
    this.rows.sort();
    void this.prefetch();
    this.show();
  }

  /** Load running and queued commands of a group that is only partly loaded. */
  private async prefetch(): Promise<void> {
    const request = this.prefetching ? null : this.queue.next(this.rows.partlyLoaded());
    if (request === null) return;
    this.prefetching = true;
    // If it fails, the next change retries.
    await attempted(this.loader.found(this.search(request)));
    this.prefetching = false;
    this.show();
  }

  private async search({ group, states }: NonNullable<ReturnType<PrefetchQueue["next"]>>) {
    const { id, model } = this.loader;
    const root = group.path;
    const searches = states.map((state) =>
      firstMatches(id, { root, state, limit: PREFETCH_LIMIT[state], attempts: "newest" }),
    );
    const found = (await Promise.all(searches)).flat();
    // Add them only if something is new.
    if (found.every((view) => model.nodes.has(view.path))) return [];
    model.pruneFound(root, MAX_FOUND, this.rows.selected());
    return found;
  }
}
