/**
 * An open pipeline: its tree, kept current by the event stream, and the groups that the user
 * opened. Events are applied once per frame.
 */

import { ApiError, messageOf } from "@/api/client";
import { EventStream, type LinkState } from "@/api/events";
import { FailureLoader } from "@/run/live/failureLoader";
import { RowSorter } from "@/run/tree/live/rowSorter";
import { LiveSource } from "@/api/stream";
import { attempted, PAGE_SIZE, TreeLoader } from "@/run/tree/live/treeLoader";
import type { TreeNode } from "@/run/model/node";
import { ancestorsOf, ROOT } from "@/run/model/paths";
import {
  type Choices,
  flatten,
  nonDefault,
  type OutputCount,
  type OutputFilter,
  type Row,
} from "@/run/tree/model/rows";
import { type Order, RowOrder } from "@/run/tree/model/sorting";
import type { TreeModel } from "@/run/tree/model/tree";

/** Hidden pages get no animation frames; they update at this interval, in ms. */
const HIDDEN_INTERVAL = 500;
/** Delay before the pipeline is loaded again if the server is unreachable, in ms. */
const RETRY_MS = 2000;

export type Loading = { kind: "loading" } | { kind: "ready" } | { kind: "failed"; error: unknown };

export class PipelineSession extends LiveSource {
  model: TreeModel | null = null;
  loading: Loading = { kind: "loading" };
  link: LinkState = { kind: "connecting" };
  outputFilter: OutputFilter | null = null;
  /** By path, with groups. */
  outputCounts: ReadonlyMap<string, OutputCount> = new Map();
  /** The display order of children. */
  readonly order = new RowOrder();
  /** Incremented when the user opens or closes a group. */
  choiceVersion = 0;

  private choices: Map<string, boolean>;
  /** Keys of the folds that the user opened. */
  private readonly unfolded = new Set<string>();
  /** The selected node; it is never pruned. */
  private revealedPath = ROOT;
  private stream: EventStream | null = null;
  private scheduled = false;
  private loader: TreeLoader | null = null;
  private failures: FailureLoader | null = null;
  private sorter: RowSorter | null = null;
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
    this.closeParts();
  }

  retry(): void {
    if (this.loading.kind !== "failed") {
      this.stream?.retryNow();
      return;
    }
    this.loading = { kind: "loading" };
    void this.start();
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
    if (by === "time") void this.showSlowest();
  }

  private async showSlowest(): Promise<void> {
    if (this.loader === null) return;
    await attempted(this.loader.slowest());
    this.sortRows();
    this.show();
  }

  private sortRows(): void {
    this.order.refresh();
    this.rowCache = null;
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

  /** Make the tree a filter of an output, or an ordinary tree again. */
  setOutputFilter(filter: OutputFilter | null): void {
    this.outputFilter = filter;
    this.show();
  }

  setOutputCounts(counts: ReadonlyMap<string, OutputCount>): void {
    this.outputCounts = counts;
    this.show();
  }

  /** Rows are reordered less often while the pointer is over the tree. */
  setHovered(pointed: boolean): void {
    if (this.sorter !== null) this.sorter.hovered = pointed;
  }

  /**
   * Load and show a node and its ancestors. Returns whether the node exists. With `keepClosed`,
   * groups that the user closed stay closed.
   */
  async reveal(path: string, keepClosed = false): Promise<boolean> {
    if (this.loader === null) return false;
    this.revealedPath = path;
    for (const above of ancestorsOf(path)) {
      if (!keepClosed || this.choices.get(above) !== false) this.choices.set(above, true);
    }
    this.choicesChanged();
    return this.loader.reveal(path);
  }

  // Loading

  /** Fetch the next page of a group's children, if a row still stands for them. */
  async loadMore(path: string): Promise<void> {
    await this.failures?.causes();
    const isShown = this.rows().some((row) => row.kind === "more" && row.group.path === path);
    if (isShown) await this.loader?.more(path);
  }

  private async start(): Promise<void> {
    this.stream?.close();
    this.cancel("start");
    // Automatic tries keep the error on the page.
    if (this.loading.kind === "ready") this.loading = { kind: "loading" };
    try {
      const loader = await TreeLoader.open(this.id, () => this.show());
      if (this.signal.aborted) return;
      this.use(loader);
      this.loading = { kind: "ready" };
      this.openStream();
    } catch (error) {
      this.loading = { kind: "failed", error };
      if (!(error instanceof ApiError)) this.schedule("start", RETRY_MS, () => this.start());
    }
    this.show();
  }

  /** Show another tree. */
  private use(loader: TreeLoader): void {
    this.closeParts();
    this.loader = loader;
    this.model = loader.model;
    this.failures = new FailureLoader(loader);
    this.sorter = new RowSorter(loader, {
      sort: () => this.sortRows(),
      hasOpenGroup: () => this.rows().some((row) => row.kind === "node" && row.open === true),
      partlyLoaded: () => this.partlyLoadedGroups(),
      selected: () => this.revealedPath,
    });
    for (const part of [this.failures, this.sorter]) part.subscribe(() => this.show());
  }

  private closeParts(): void {
    this.stream?.close();
    this.failures?.close();
    this.sorter?.close();
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
    this.loader?.stale();
    void this.loader?.edited();
    this.show();
  };

  /** Open groups that are not completely loaded. */
  private partlyLoadedGroups(): TreeNode[] {
    return this.rows().flatMap((row) => {
      if (row.kind !== "node" || row.open !== true) return [];
      const { children, childCount } = row.node;
      const isPartial = children.loaded ? children.next !== null : childCount > PAGE_SIZE;
      return isPartial ? [row.node] : [];
    });
  }

  private choicesChanged(): void {
    this.choiceVersion += 1;
    this.show();
  }

  protected override show(): void {
    if (!this.signal.aborted) {
      this.failures?.update(() => this.partlyLoadedGroups());
      this.sorter?.update();
    }
    super.show();
  }
}

export function loadErrorMessage(error: unknown, id: string): string {
  if (error instanceof ApiError && error.status === 404) return `Pipeline ${id} not found`;
  return messageOf(error);
}
