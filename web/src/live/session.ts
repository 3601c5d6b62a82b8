/**
 * An open pipeline: its tree, kept current by the event stream, and the groups that the user
 * opened. Events are applied once per frame.
 */

import { api, ApiError, messageOf, OfflineError } from "@/api/client";
import { EventStream, type LinkState } from "@/api/events";
import type { Counts, NodeView, TreePage } from "@/api/schema";
import { findCauses, findFailures, firstMatches } from "@/live/search";
import { LiveSource } from "@/live/stream";
import type { TreeNode } from "@/model/node";
import { ancestorsOf, parentOf, ROOT } from "@/model/paths";
import { PREFETCH_LIMIT, PrefetchQueue } from "@/model/prefetch";
import { type Choices, flatten, nonDefault, type Row } from "@/model/rows";
import { type Order, RowOrder } from "@/model/sorting";
import { failures, total } from "@/model/states";
import { TreeModel } from "@/model/tree";

/** Children per request. */
const PAGE_SIZE = 200;
/** Pipelines with at most this many commands are loaded in one request. */
const WHOLE_TREE_LIMIT = 400;
/** Number of failures loaded for a large group. */
const MAX_FAILURES = 50;
/** Maximum number of edited commands that are fetched at once. */
const MAX_EDITED = 50;
/** Number of failures whose reasons are shown in the tree, and the interval of requesting them. */
const MAX_REASONS = 100;
const REASONS_INTERVAL = 1500;
/** Number of the slowest commands that are loaded to sort by time. */
const MAX_SLOWEST = 100;
/** Minimum interval between searches for failures, in ms. */
const SEARCH_INTERVAL = 500;
/**
 * Minimum intervals between reorderings of rows, in ms; longer while the pointer is over the tree.
 */
const SORT_INTERVAL = 1000;
const HOVERED_SORT_INTERVAL = 4000;
/** Maximum number of nodes per group that are kept outside its loaded range. */
const MAX_FOUND = 300;
/** Hidden pages get no animation frames; they update at this interval, in ms. */
const HIDDEN_INTERVAL = 500;

export type Loading = { kind: "loading" } | { kind: "ready" } | { kind: "failed"; error: unknown };

export class PipelineSession extends LiveSource {
  model: TreeModel | null = null;
  loading: Loading = { kind: "loading" };
  link: LinkState = { kind: "connecting" };
  /** The display order of children. */
  readonly order = new RowOrder();
  /** Incremented when the user opens or closes a group. */
  choiceVersion = 0;

  private choices: Map<string, boolean>;
  /** Keys of the folds that the user opened. */
  private readonly unfolded = new Set<string>();
  /** The selected node; it is never pruned. */
  private revealedPath = ROOT;
  private hovered = false;
  private sortedAt = -Infinity;
  private sortedVersion = -1;
  private prefetching = false;
  private readonly prefetchQueue = new PrefetchQueue();
  private stream: EventStream | null = null;
  private scheduled = false;
  /** Number of failures requested per group. */
  private readonly requestedFailures = new Map<string, number>();
  private searching = false;
  /** Number of failures for which reasons were requested, and when. */
  private reasonsFor = 0;
  private reasonsAt = -Infinity;
  private searchedAt = -Infinity;
  private readonly inFlight = new Set<string>();
  private rowCache: { model: number; choices: number; rows: Row[] } | null = null;

  /** `choices`: groups that start open or closed. */
  constructor(
    readonly id: string,
    choices: Choices = new Map(),
  ) {
    super();
    this.choices = new Map(choices);
    void this.start();
  }

  override close(): void {
    super.close();
    this.stream?.close();
  }

  retry(): void {
    if (this.loading.kind === "failed") void this.start();
    else this.stream?.retryNow();
  }

  rows(): Row[] {
    if (this.model === null) return [];
    const { version } = this.model;
    if (this.rowCache?.model !== version || this.rowCache.choices !== this.choiceVersion) {
      const { choices, order, unfolded, revealedPath: current } = this;
      const rows = flatten(this.model, { choices, order, unfolded, current });
      this.rowCache = { model: version, choices: this.choiceVersion, rows };
    }
    return this.rowCache.rows;
  }

  // User choices

  setOpen(path: string, open: boolean): void {
    this.choices.set(path, open);
    this.choicesChanged();
  }

  /** Open or close a fold of children. */
  toggleFold(key: string): void {
    if (!this.unfolded.delete(key)) this.unfolded.add(key);
    this.choicesChanged();
  }

  /** Return to automatic opening and closing. */
  resetChoices(): void {
    this.choices = new Map();
    this.unfolded.clear();
    this.choicesChanged();
  }

  /** Choose the order of the rows; the slowest commands are loaded for it. */
  setOrder(by: Order): void {
    this.order.choose(by);
    this.rowCache = null;
    this.choicesChanged();
    if (by === "time") void this.loadSlowest();
  }

  private async loadSlowest(): Promise<void> {
    const { model } = this;
    if (model === null || total(model.summary.counts) <= WHOLE_TREE_LIMIT) return;
    model.beginLoad();
    try {
      const page = await api.tree(this.id, {
        order: "time",
        attempts: "newest",
        limit: MAX_SLOWEST,
      });
      await this.addFound(model, page.nodes, page.seq);
      this.order.refresh();
      this.rowCache = null;
    } catch (error) {
      if (!(error instanceof ApiError || error instanceof OfflineError)) throw error;
    } finally {
      model.endLoad();
      this.show();
    }
  }

  /** Close every known group except the root. */
  collapseAll(): void {
    for (const node of this.model?.nodes.values() ?? []) {
      if (node.type !== "Exec" && node.path !== ROOT) this.choices.set(node.path, false);
    }
    this.choicesChanged();
  }

  /** Choices that differ from the automatic state. */
  nonDefaultChoices(): Choices {
    return this.model === null ? this.choices : nonDefault(this.model, this.choices);
  }

  /** Rows are reordered less often while the pointer is over the tree. */
  setHovered(pointed: boolean): void {
    this.hovered = pointed;
  }

  /**
   * Load and show a node and its ancestors. Returns whether the node exists. With `keepClosed`,
   * groups that the user closed stay closed.
   */
  async reveal(path: string, keepClosed = false): Promise<boolean> {
    const model = this.model;
    if (model === null) return false;
    this.revealedPath = path;
    for (const above of ancestorsOf(path)) {
      if (!keepClosed || this.choices.get(above) !== false) this.choices.set(above, true);
    }
    this.choicesChanged();
    if (model.nodes.get(path)?.seq !== -1 && model.nodes.has(path)) return true;
    try {
      await this.fetchNodes(model, [path, ...this.unknownAncestors(model, path)]);
      return true;
    } catch (error) {
      if (error instanceof ApiError) return false;
      throw error;
    }
  }

  // Loading

  /** Fetch the next page of a group's children. */
  async loadMore(path: string): Promise<void> {
    const model = this.model;
    const group = model?.nodes.get(path);
    if (model === null || group === undefined || this.inFlight.has(path)) return;
    const { loaded, next } = group.children;
    if (loaded && next === null) return;
    await this.loadChildren(model, path, next);
  }

  private async start(): Promise<void> {
    this.stream?.close();
    this.loading = { kind: "loading" };
    try {
      const summary = await api.pipeline(this.id);
      const model = new TreeModel(summary);
      const whole = total(summary.counts) <= WHOLE_TREE_LIMIT;
      const page = await api.tree(this.id, {
        attempts: "newest",
        ...(whole ? { limit: 4 * WHOLE_TREE_LIMIT } : { depth: 1, limit: PAGE_SIZE + 1 }),
      });
      if (this.signal.aborted) return;
      model.seq = page.seq;
      applyFirstPage(model, page, whole);
      this.model = model;
      this.reasonsFor = 0;
      this.requestedFailures.clear(); // the new model has none of them
      this.loading = { kind: "ready" };
      this.openStream();
    } catch (error) {
      this.loading = { kind: "failed", error };
    }
    this.show();
  }

  private openStream(): void {
    this.stream = new EventStream(this.id, {
      cursor: () => this.model?.seq ?? 0,
      onPending: () => this.scheduleFlush(),
      onState: (state) => {
        this.link = state;
        this.show();
      },
      onReset: () => void this.start(),
    });
  }

  private scheduleFlush(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    if (document.hidden) window.setTimeout(this.flush, HIDDEN_INTERVAL);
    else requestAnimationFrame(this.flush);
  }

  private readonly flush = (): void => {
    this.scheduled = false;
    const model = this.model;
    if (model === null || this.signal.aborted) return;
    const { revision } = model.summary.pipeline;
    for (const batch of this.stream?.take() ?? []) {
      if (batch.pipeline.pipeline.revision !== revision) {
        void this.start(); // another tree replaced this one
        return;
      }
      model.apply(batch);
    }
    for (const path of model.stale) void this.loadChildren(model, path, null);
    void this.fetchEdited(model);
    this.show();
  };

  /** Fetch the commands whose definition was edited. */
  private async fetchEdited(model: TreeModel): Promise<void> {
    if (model.edited.size === 0) return;
    // Of very many, the others are fetched when they are opened.
    const paths = [...model.edited].slice(0, MAX_EDITED);
    model.edited.clear();
    try {
      await this.fetchNodes(model, paths);
    } catch (error) {
      if (!(error instanceof ApiError || error instanceof OfflineError)) throw error;
    }
  }

  /**
   * Load the failures of open groups that are only partly loaded: in one request if there are few,
   * otherwise group by group.
   */
  private loadFailures(model: TreeModel): void {
    this.forgetFixedFailures(model);
    if (this.searching) return;
    const incomplete = this.partlyLoadedGroups().filter(
      (group) => failureCount(group) > (this.requestedFailures.get(group.path) ?? 0),
    );
    const [first] = incomplete;
    if (first === undefined || this.searchLater()) return;
    const few = failures(model.summary.counts) <= MAX_FAILURES;
    const groups = few ? incomplete : [first];
    for (const group of groups) this.requestedFailures.set(group.path, failureCount(group));
    this.searching = true;
    const counts = few ? model.summary.counts : first.counts;
    void this.searchFailures(model, few ? ROOT : first.path, counts).then(
      () => {
        this.searching = false;
        this.show();
      },
      () => {
        // The next change retries. Retrying immediately would loop while the server is unreachable.
        this.searching = false;
        for (const { path } of groups) this.requestedFailures.delete(path);
      },
    );
  }

  /** Request why commands failed, for the rows of the tree. */
  private loadReasons(model: TreeModel): void {
    const { counts } = model.summary;
    const failed = failures(counts);
    if (failed === 0) this.reasonsFor = 0;
    if (failed === this.reasonsFor || this.isScheduled("reasons")) return;
    const wait = Math.max(0, this.reasonsAt + REASONS_INTERVAL - performance.now());
    this.schedule("reasons", wait, async () => {
      this.reasonsFor = failed;
      this.reasonsAt = performance.now();
      try {
        const causes = await findCauses(this.id, ROOT, MAX_REASONS);
        model.addReasons(causes.filter(({ tail }) => tail !== null));
        this.show();
      } catch (error) {
        if (!(error instanceof ApiError || error instanceof OfflineError)) throw error;
      }
    });
  }

  /** Schedule a search if the previous one was too recent. Returns whether it was. */
  private searchLater(): boolean {
    const now = performance.now();
    const wait = this.searchedAt + SEARCH_INTERVAL - now;
    if (wait <= 0) this.searchedAt = now;
    else this.schedule("search", wait, () => this.show());
    return wait > 0;
  }

  /** Open groups that are not completely loaded. */
  private partlyLoadedGroups(): TreeNode[] {
    return this.rows().flatMap((row) => {
      if (row.kind !== "node" || row.open !== true) return [];
      const { children, childCount } = row.node;
      const isPartial = children.loaded ? children.next !== null : childCount > PAGE_SIZE;
      return isPartial ? [row.node] : [];
    });
  }

  /** Reorder rows after state changes, at a limited rate. */
  private scheduleSort(model: TreeModel): void {
    if (this.isScheduled("sort") || model.version === this.sortedVersion) return;
    const hasOpenGroup = this.rows().some((row) => row.kind === "node" && row.open === true);
    if (!hasOpenGroup) return;
    const every = this.hovered ? HOVERED_SORT_INTERVAL : SORT_INTERVAL;
    const wait = Math.max(0, this.sortedAt + every - performance.now());
    this.schedule("sort", wait, () => this.sortRows(model));
  }

  private sortRows(model: TreeModel): void {
    this.sortedAt = performance.now();
    this.sortedVersion = model.version;
    this.order.refresh();
    this.rowCache = null;
    void this.prefetchActive(model);
    this.show();
  }

  /** Load running and queued commands of a group that is only partly loaded. */
  private async prefetchActive(model: TreeModel): Promise<void> {
    const request = this.prefetching ? null : this.prefetchQueue.next(this.partlyLoadedGroups());
    if (request === null) return;
    this.prefetching = true;
    model.beginLoad();
    try {
      const { path } = request.group;
      const { seq } = model; // at most as new as the response
      const searches = request.states.map((state) =>
        firstMatches(this.id, {
          root: path,
          state,
          limit: PREFETCH_LIMIT[state],
          attempts: "newest",
        }),
      );
      const found = (await Promise.all(searches)).flat();
      // Repeat only if something new was found.
      if (found.every((view) => model.nodes.has(view.path))) return;
      model.pruneFound(path, MAX_FOUND, this.revealedPath);
      await this.addFound(model, found, seq);
    } catch (error) {
      // The next change retries.
      if (!(error instanceof ApiError || error instanceof OfflineError)) throw error;
    } finally {
      model.endLoad();
      this.prefetching = false;
      this.show();
    }
  }

  /** Lower the requested numbers after a reset, so that new failures are loaded again. */
  private forgetFixedFailures(model: TreeModel): void {
    for (const [path, count] of this.requestedFailures) {
      const group = model.nodes.get(path);
      const failed = group === undefined ? 0 : failureCount(group);
      if (failed < count) this.requestedFailures.set(path, failed);
    }
  }

  private async loadChildren(model: TreeModel, path: string, after: string | null): Promise<void> {
    if (this.inFlight.has(path)) return;
    this.inFlight.add(path);
    model.beginLoad();
    try {
      const known = model.nodes.get(path)?.children.first.length ?? 0;
      const page = await api.tree(this.id, {
        root: path,
        depth: 1,
        attempts: "newest",
        limit: after === null ? Math.max(PAGE_SIZE, known) + 1 : PAGE_SIZE,
        ...(after === null ? {} : { after }),
      });
      const [first] = page.nodes;
      if (first?.path === path) model.addFound([first], page.seq);
      const nodes = page.nodes.filter((view) => view.path !== path);
      model.addChildren(path, { seq: page.seq, nodes, next: page.next }, after === null);
    } catch (error) {
      if (error instanceof ApiError)
        model.stale.delete(path); // its parent's list will show the change
      // If the server is unreachable, the row retries when it is visible or something changes.
      else if (!(error instanceof OfflineError)) throw error;
    } finally {
      model.endLoad();
      this.inFlight.delete(path);
      this.show();
    }
  }

  private async searchFailures(
    model: TreeModel,
    root: string,
    counts: Counts | null,
  ): Promise<void> {
    model.beginLoad();
    try {
      const { seq } = model; // at most as new as the response
      await this.addFound(model, await findFailures(this.id, root, MAX_FAILURES, counts), seq);
    } finally {
      model.endLoad();
    }
  }

  private async addFound(model: TreeModel, views: readonly NodeView[], seq: number): Promise<void> {
    model.addFound(views, seq);
    const unknown = new Set(views.flatMap((view) => this.unknownAncestors(model, view.path)));
    await this.fetchNodes(model, [...unknown]);
  }

  /** Ancestors of which only the name is known. */
  private unknownAncestors(model: TreeModel, path: string): string[] {
    return ancestorsOf(path).filter((above) => (model.nodes.get(above)?.seq ?? -1) < 0);
  }

  private async fetchNodes(model: TreeModel, paths: readonly string[]): Promise<void> {
    model.beginLoad();
    try {
      const pages = await Promise.all(
        paths.map((path) => api.tree(this.id, { root: path, depth: 0, attempts: "newest" })),
      );
      for (const page of pages) model.addFound(page.nodes, page.seq);
    } finally {
      model.endLoad();
      this.show();
    }
  }

  private choicesChanged(): void {
    this.choiceVersion += 1;
    this.show();
  }

  protected override show(): void {
    if (this.model !== null && !this.signal.aborted) {
      this.loadFailures(this.model);
      this.loadReasons(this.model);
      this.scheduleSort(this.model);
    }
    super.show();
  }
}

function failureCount(group: TreeNode): number {
  return group.counts === null ? 0 : failures(group.counts);
}

function applyFirstPage(model: TreeModel, page: TreePage, whole: boolean): void {
  const { seq } = page;
  const [root] = page.nodes;
  if (root !== undefined) model.addFound([root], seq);
  if (!whole || page.next !== null) {
    const nodes = page.nodes.filter((view) => parentOf(view.path) === ROOT);
    const last = nodes.at(-1)?.path ?? null;
    model.addChildren(ROOT, { seq, nodes, next: page.next === null ? null : last }, true);
    return;
  }
  const children = new Map<string, NodeView[]>();
  for (const view of page.nodes) {
    if (view.type !== "Exec") children.set(view.path, []);
    children.get(parentOf(view.path) ?? "")?.push(view);
  }
  for (const [path, nodes] of children) model.addChildren(path, { seq, nodes, next: null }, true);
}

export function loadErrorMessage(error: unknown, id: string): string {
  if (error instanceof ApiError && error.status === 404) return `Pipeline ${id} not found`;
  return messageOf(error);
}
