/** Loads parts of a pipeline's tree into its model. */

import { api, ApiError, OfflineError } from "@/api/client";
import { FIRST_TREE } from "@/api/early";
import type { NodeView, TreePage } from "@/api/schema";
import { ancestorsOf, parentOf, ROOT } from "@/run/model/paths";
import { total } from "@/run/model/states";
import { TreeModel } from "@/run/tree/model/tree";

/** Children per request. */
export const PAGE_SIZE = 200;
/** Pipelines with at most this many commands are loaded in one request. */
const WHOLE_TREE_LIMIT = 400;
/** Maximum number of edited commands that are fetched at once. */
const MAX_EDITED = 50;
/** Number of the slowest commands that are loaded to sort by time. */
const MAX_SLOWEST = 100;

/** Work that the next change repeats if the server refuses it or is unreachable. */
export async function attempted(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof ApiError || error instanceof OfflineError)) throw error;
  }
}

export class TreeLoader {
  private readonly inFlight = new Set<string>();

  constructor(
    readonly id: string,
    readonly model: TreeModel,
    /** Called after every load. */
    private readonly changed: () => void,
  ) {}

  /** Load a pipeline: all nodes of a small one, else the first children of the root. */
  static async open(id: string, changed: () => void): Promise<TreeLoader> {
    const [summary, first] = await Promise.all([api.pipeline(id), api.tree(id, FIRST_TREE)]);
    const model = new TreeModel(summary);
    const whole = total(summary.counts) <= WHOLE_TREE_LIMIT;
    const page =
      whole && !isComplete(first)
        ? await api.tree(id, { attempts: "newest", limit: 4 * WHOLE_TREE_LIMIT })
        : first;
    // The changes after the older of the two responses follow as events.
    model.seq = Math.min(summary.seq, page.seq);
    applyFirstPage(model, page, whole);
    return new TreeLoader(id, model, changed);
  }

  /** Fetch the next page of a group's children. */
  async more(path: string): Promise<void> {
    const group = this.model.nodes.get(path);
    if (group === undefined || this.inFlight.has(path)) return;
    const { loaded, next } = group.children;
    if (loaded && next === null) return;
    await this.children(path, next);
  }

  /** Fetch the children of groups that changed while they were not loaded. */
  stale(): void {
    for (const path of this.model.stale) void this.children(path, null);
  }

  private async children(path: string, after: string | null): Promise<void> {
    if (this.inFlight.has(path)) return;
    this.inFlight.add(path);
    try {
      await this.loading(this.fetchChildren(path, after));
    } catch (error) {
      if (error instanceof ApiError)
        this.model.stale.delete(path); // its parent's list will show the change
      // If the server is unreachable, the row retries when it is visible or something changes.
      else if (!(error instanceof OfflineError)) throw error;
    } finally {
      this.inFlight.delete(path);
    }
  }

  private async fetchChildren(path: string, after: string | null): Promise<void> {
    const { model } = this;
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
  }

  /** Fetch the commands whose definition was edited. */
  async edited(): Promise<void> {
    const { edited } = this.model;
    if (edited.size === 0) return;
    // Of very many, the others are fetched when they are opened.
    const paths = [...edited].slice(0, MAX_EDITED);
    edited.clear();
    await attempted(this.nodes(paths));
  }

  /** Load the slowest commands, unless all are loaded. */
  async slowest(): Promise<void> {
    if (total(this.model.summary.counts) <= WHOLE_TREE_LIMIT) return;
    const query = { order: "time", attempts: "newest", limit: MAX_SLOWEST } as const;
    await this.loading(
      api.tree(this.id, query).then((page) => this.addFound(page.nodes, page.seq)),
    );
  }

  /** Load a node and its ancestors. Returns whether it exists. */
  async reveal(path: string): Promise<boolean> {
    const known = this.model.nodes.get(path);
    if (known !== undefined && known.seq !== -1) return true;
    try {
      await this.nodes([path, ...this.unknownAncestors(path)]);
      return true;
    } catch (error) {
      if (error instanceof ApiError) return false;
      throw error;
    }
  }

  /** Load nodes that a query returns, with their ancestors. `seq` is at most as new as they are. */
  async found(query: Promise<NodeView[]>): Promise<void> {
    const { seq } = this.model;
    await this.loading(query.then((views) => this.addFound(views, seq)));
  }

  private async addFound(views: readonly NodeView[], seq: number): Promise<void> {
    this.model.addFound(views, seq);
    const unknown = new Set(views.flatMap((view) => this.unknownAncestors(view.path)));
    await this.nodes([...unknown]);
  }

  /** Ancestors of which only the name is known. */
  private unknownAncestors(path: string): string[] {
    return ancestorsOf(path).filter((above) => (this.model.nodes.get(above)?.seq ?? -1) < 0);
  }

  private async nodes(paths: readonly string[]): Promise<void> {
    const fetchAll = async () => {
      const pages = await Promise.all(
        paths.map((path) => api.tree(this.id, { root: path, depth: 0, attempts: "newest" })),
      );
      for (const page of pages) this.model.addFound(page.nodes, page.seq);
    };
    await this.loading(fetchAll());
  }

  /** Keep changes that arrive during a load, because its response may be older. */
  private async loading(work: Promise<void>): Promise<void> {
    this.model.beginLoad();
    try {
      await work;
    } finally {
      this.model.endLoad();
      this.changed();
    }
  }
}

/** Whether a page has all nodes of a tree. */
function isComplete({ nodes, next }: TreePage): boolean {
  return next === null && nodes.every(({ path, children }) => path === ROOT || children === 0);
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
