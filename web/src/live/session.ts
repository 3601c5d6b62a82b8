/**
 * An opened pipeline: its tree, kept up to date by the event stream, and what the reader opened.
 *
 * Batches are gathered and shown once a frame, however fast they come.
 */

import { api, ApiError, messageOf, OfflineError } from "@/api/client";
import { EventStream, lastChange, type LinkState } from "@/api/events";
import type { Counts, EventBatch, NodeView, TreePage } from "@/api/schema";
import { findFailures, findSome } from "@/live/finding";
import { BROUGHT, Lookout } from "@/model/lookout";
import type { TreeNode } from "@/model/node";
import { Arrangement, isWide } from "@/model/order";
import { ancestorsOf, parentOf, ROOT } from "@/model/paths";
import { type Choices, differing, flatten, type Row } from "@/model/rows";
import { failures, total } from "@/model/states";
import { TreeModel } from "@/model/tree";

/** Children of a group that are asked for at once. */
const PAGE = 200;
/** A pipeline of at most this many Execs is read whole, in one request. */
const WHOLE = 400;
/** Failures that are looked for in a group whose children are many. */
const SOUGHT = 50;
/** While more and more fail they are looked for this often, in ms. */
const SOUGHT_EVERY = 500;
/** Rows change places by their states no more often than this, in ms; under the pointer less. */
const ARRANGED_EVERY = 1000;
const ARRANGED_EVERY_UNDER_POINTER = 4000;
/** Nodes that were found beyond the loaded ones are kept up to this many in a group. */
const FOUND_KEPT = 300;
/** A page that is not shown gets no frames; its state is kept up this often, in ms. */
const HIDDEN_EVERY = 500;

export type Loading = { kind: "loading" } | { kind: "ready" } | { kind: "failed"; error: unknown };

export class PipelineSession {
  model: TreeModel | null = null;
  loading: Loading = { kind: "loading" };
  link: LinkState = { kind: "connecting" };
  /** Moves with everything a page shows. */
  version = 0;

  /** The order in which children are shown. */
  readonly order = new Arrangement();
  /** Moves when a group is opened or closed by choice. */
  choiceVersion = 0;

  private choices: Map<string, boolean>;
  /** The node in the address: it stays known. */
  private revealed = ROOT;
  private pointed = false;
  private arranging: number | null = null;
  private arrangedAt = -Infinity;
  private arrangedFor = -1;
  private lookingOut = false;
  private readonly lookout = new Lookout();
  private stream: EventStream | null = null;
  private waiting: EventBatch[] = [];
  private scheduled = false;
  private closed = false;
  /** Failures of a group that were looked for, by path. */
  private readonly sought = new Map<string, number>();
  private seeking = false;
  private soughtAt = -Infinity;
  private seekTimer: number | null = null;
  private readonly inFlight = new Set<string>();
  private readonly listeners = new Set<() => void>();
  private flat: { model: number; choices: number; rows: Row[] } | null = null;

  /** `choices`: groups that are opened and closed from the start. */
  constructor(
    readonly id: string,
    choices: Choices = new Map(),
  ) {
    this.choices = new Map(choices);
    void this.start();
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly getVersion = (): number => this.version;

  close(): void {
    this.closed = true;
    for (const timer of [this.arranging, this.seekTimer]) {
      if (timer !== null) window.clearTimeout(timer);
    }
    this.stream?.close();
  }

  retry(): void {
    if (this.loading.kind === "failed") void this.start();
    else this.stream?.retryNow();
  }

  /** The rows of the tree as it is shown now. */
  rows(): Row[] {
    if (this.model === null) return [];
    const { version } = this.model;
    if (this.flat?.model !== version || this.flat.choices !== this.choiceVersion) {
      const rows = flatten(this.model, this.choices, this.order);
      this.flat = { model: version, choices: this.choiceVersion, rows };
    }
    return this.flat.rows;
  }

  // What the reader chooses

  setOpen(path: string, open: boolean): void {
    this.choices.set(path, open);
    this.chose();
  }

  /** Let every group follow its state again. */
  forgetChoices(): void {
    this.choices = new Map();
    this.chose();
  }

  /** Close every known group but the root. */
  collapseAll(): void {
    for (const node of this.model?.nodes.values() ?? []) {
      if (node.type !== "Exec" && node.path !== ROOT) this.choices.set(node.path, false);
    }
    this.chose();
  }

  /** Choices without which the tree would look different now. */
  differingChoices(): Choices {
    return this.model === null ? this.choices : differing(this.model, this.choices);
  }

  /** Say whether the pointer is over the tree: rows keep their places longer then. */
  setPointed(pointed: boolean): void {
    this.pointed = pointed;
  }

  /**
   * Make a node and what is above it known and shown. Returns whether there is such a node.
   *
   * With `keepClosed` a group that was closed by choice stays so, as in a link.
   */
  async reveal(path: string, keepClosed = false): Promise<boolean> {
    const model = this.model;
    if (model === null) return false;
    this.revealed = path;
    for (const above of ancestorsOf(path)) {
      if (!keepClosed || this.choices.get(above) !== false) this.choices.set(above, true);
    }
    this.chose();
    if (model.nodes.get(path)?.seq !== -1 && model.nodes.has(path)) return true;
    try {
      await this.fetchNodes(model, [path, ...this.strangersAbove(model, path)]);
      return true;
    } catch (error) {
      if (error instanceof ApiError) return false;
      throw error;
    }
  }

  // What is fetched

  /** Fetch the next children of a group, the first ones or those after what is known. */
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
      const whole = total(summary.counts) <= WHOLE;
      const page = await api.tree(this.id, {
        attempts: "newest",
        ...(whole ? { limit: 4 * WHOLE } : { depth: 1, limit: PAGE + 1 }),
      });
      if (this.closed) return;
      model.seq = page.seq;
      takeFirstPage(model, page, whole);
      this.model = model;
      this.sought.clear(); // it knows none of what was brought to the one before it
      this.loading = { kind: "ready" };
      this.openStream();
    } catch (error) {
      this.loading = { kind: "failed", error };
    }
    this.show();
  }

  private openStream(): void {
    this.stream = new EventStream(this.id, {
      cursor: () => this.cursor(),
      onBatch: (batch) => this.gather(batch),
      onState: (state) => {
        this.link = state;
        this.show();
      },
      onReset: () => void this.start(),
    });
  }

  /** Batches that wait for the next frame count as known. */
  private cursor(): number {
    return lastChange(this.waiting) ?? this.model?.seq ?? 0;
  }

  private gather(batch: EventBatch): void {
    this.waiting.push(batch);
    if (this.scheduled) return;
    this.scheduled = true;
    if (document.hidden) window.setTimeout(this.flush, HIDDEN_EVERY);
    else requestAnimationFrame(this.flush);
  }

  private readonly flush = (): void => {
    this.scheduled = false;
    const model = this.model;
    const batches = this.waiting;
    this.waiting = [];
    if (model === null || this.closed) return;
    for (const batch of batches) model.apply(batch);
    for (const path of model.stale) void this.loadChildren(model, path, null);
    this.show();
  };

  /**
   * Bring the failures of groups that are open and not listed in full to the reader: all at once
   * where there are few, else group by group. A group of one page is listed when it is in view.
   */
  private bringFailures(model: TreeModel): void {
    this.forgetMended(model);
    if (this.seeking) return;
    const lacking = this.unlisted().filter(
      (group) => failedIn(group) > (this.sought.get(group.path) ?? 0),
    );
    const [first] = lacking;
    if (first === undefined || this.seekLater()) return;
    const few = failures(model.summary.counts) <= SOUGHT;
    const groups = few ? lacking : [first];
    for (const group of groups) this.sought.set(group.path, failedIn(group));
    this.seeking = true;
    const counts = few ? model.summary.counts : first.counts;
    void this.seekFailures(model, few ? ROOT : first.path, counts).then(
      () => {
        this.seeking = false;
        this.show();
      },
      () => {
        // The next change tries again; trying at once would ask without end while nobody answers.
        this.seeking = false;
        for (const { path } of groups) this.sought.delete(path);
      },
    );
  }

  /** Whether failures were looked for just now; then it is done again in a moment. */
  private seekLater(): boolean {
    const now = performance.now();
    const wait = this.soughtAt + SOUGHT_EVERY - now;
    if (wait <= 0) this.soughtAt = now;
    else {
      this.seekTimer ??= window.setTimeout(() => {
        this.seekTimer = null;
        this.show();
      }, wait);
    }
    return wait > 0;
  }

  /** Groups that are open and not listed in full. */
  private unlisted(): TreeNode[] {
    return this.rows().flatMap((row) =>
      row.kind === "more" && (row.group.children.loaded || row.group.childCount > PAGE)
        ? [row.group]
        : [],
    );
  }

  /** See to it that the order follows the states, as often as a reader can follow it. */
  private arrangeSoon(model: TreeModel): void {
    if (this.arranging !== null || model.version === this.arrangedFor) return;
    const held = this.rows().some((row) => row.kind === "node" && isOpenWide(row));
    if (!held) return;
    const every = this.pointed ? ARRANGED_EVERY_UNDER_POINTER : ARRANGED_EVERY;
    const wait = Math.max(0, this.arrangedAt + every - performance.now());
    this.arranging = window.setTimeout(() => this.arrange(model), wait);
  }

  private arrange(model: TreeModel): void {
    this.arranging = null;
    this.arrangedAt = performance.now();
    this.arrangedFor = model.version;
    this.order.renew();
    this.flat = null;
    void this.bringMoving(model);
    this.show();
  }

  /** Look for what runs and what is queued in a group that is not listed in full. */
  private async bringMoving(model: TreeModel): Promise<void> {
    const lack = this.lookingOut ? null : this.lookout.next(this.unlisted());
    if (lack === null) return;
    this.lookingOut = true;
    model.beginLoad();
    try {
      const { path } = lack.group;
      const { seq } = model; // at most as new as what is answered
      const searches = lack.states.map((state) =>
        findSome(this.id, { root: path, state, limit: BROUGHT[state], attempts: "newest" }),
      );
      const found = (await Promise.all(searches)).flat();
      // Looking again would find the same: only what is new is worth another round.
      if (found.every((view) => model.nodes.has(view.path))) return;
      model.forgetFound(path, FOUND_KEPT, this.revealed);
      await this.addFound(model, found, seq);
    } catch (error) {
      // The next change tries again.
      if (!(error instanceof ApiError || error instanceof OfflineError)) throw error;
    } finally {
      model.endLoad();
      this.lookingOut = false;
      this.show();
    }
  }

  /** What fails after a reset is looked for as what failed before it, though it be no more. */
  private forgetMended(model: TreeModel): void {
    for (const [path, count] of this.sought) {
      const group = model.nodes.get(path);
      const failed = group === undefined ? 0 : failedIn(group);
      if (failed < count) this.sought.set(path, failed);
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
        limit: after === null ? Math.max(PAGE, known) + 1 : PAGE,
        ...(after === null ? {} : { after }),
      });
      const [first] = page.nodes;
      if (first?.path === path) model.addFound([first], page.seq);
      const nodes = page.nodes.filter((view) => view.path !== path);
      model.addChildren(path, { seq: page.seq, nodes, next: page.next }, after === null);
    } catch (error) {
      if (error instanceof ApiError)
        model.stale.delete(path); // its parent's list tells
      // Without an answer its row asks again, when it is seen or when something changes.
      else if (!(error instanceof OfflineError)) throw error;
    } finally {
      model.endLoad();
      this.inFlight.delete(path);
      this.show();
    }
  }

  private async seekFailures(model: TreeModel, root: string, counts: Counts | null): Promise<void> {
    model.beginLoad();
    try {
      const { seq } = model; // at most as new as what is answered
      await this.addFound(model, await findFailures(this.id, root, SOUGHT, counts), seq);
    } finally {
      model.endLoad();
    }
  }

  private async addFound(model: TreeModel, views: readonly NodeView[], seq: number): Promise<void> {
    model.addFound(views, seq);
    const strangers = new Set(views.flatMap((view) => this.strangersAbove(model, view.path)));
    await this.fetchNodes(model, [...strangers]);
  }

  /** Groups above a node of which nothing but their name is known. */
  private strangersAbove(model: TreeModel, path: string): string[] {
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

  private chose(): void {
    this.choiceVersion += 1;
    this.show();
  }

  private show(): void {
    if (this.model !== null && !this.closed) {
      this.bringFailures(this.model);
      this.arrangeSoon(this.model);
    }
    this.version += 1;
    for (const listener of this.listeners) listener();
  }
}

function isOpenWide(row: Extract<Row, { kind: "node" }>): boolean {
  return row.open === true && isWide(row.node);
}

function failedIn(group: TreeNode): number {
  return group.counts === null ? 0 : failures(group.counts);
}

function takeFirstPage(model: TreeModel, page: TreePage, whole: boolean): void {
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

/** What a failed load says. */
export function failureMessage(error: unknown, id: string): string {
  if (error instanceof ApiError && error.status === 404) return `There is no pipeline ${id} here.`;
  return messageOf(error);
}
