/** The attempts of a pipeline, kept up to date by the event stream. */

import { api, ApiError, messageOf, type TreeQuery } from "@/api/client";
import { EventStream, lastChange } from "@/api/events";
import type { EventBatch, ImageRecord } from "@/api/schema";
import type { Bar } from "@/model/lanes";
import { Timeline } from "@/model/timeline";

const PAGE = 2000;
/** Attempts that are shown at most; a part of the tree shows the rest. */
export const MOST_ATTEMPTS = 50_000;
/** Changes are shown, and what they do not tell is asked for, this often, in ms. */
const SHOW_EVERY = 300;
const ASK_EVERY = 2000;
/** A load that got no answer is tried again after this, in ms. */
const AGAIN_AFTER = 2000;
/** Nodes whose containers are asked for one by one; of more, all is read again. */
const ASK_SINGLY = 20;
/** Queued nodes of which it is asked what they wait for. */
const ASK_QUEUED = 500;

export class TimelineSession {
  timeline = new Timeline();
  loading = true;
  /** There are more attempts than are shown. */
  cut = false;
  error: string | null = null;
  version = 0;

  private seq = 0;
  private stream: EventStream | null = null;
  private readonly waiting: EventBatch[] = [];
  /** Nodes that run in a container, and waited for what, which only the server knows. */
  private readonly unknown = new Set<string>();
  private images: readonly ImageRecord[] = [];
  /** What the server is asked may be older than changes that come meanwhile: they wait. */
  private asking = false;
  private readonly aborter = new AbortController();
  private readonly listeners = new Set<() => void>();
  private startTimer: number | undefined;
  private showTimer: number | undefined;
  private askTimer: number | undefined;

  constructor(
    private readonly id: string,
    private readonly root: string,
  ) {
    void this.start();
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly getVersion = (): number => this.version;

  close(): void {
    this.aborter.abort();
    this.stream?.close();
    window.clearTimeout(this.startTimer);
    window.clearTimeout(this.showTimer);
    window.clearTimeout(this.askTimer);
  }

  readonly retry = (): void => {
    if (this.error === null) this.stream?.retryNow();
    else void this.start();
  };

  private async start(): Promise<void> {
    this.stream?.close();
    this.stream = null;
    this.waiting.length = 0;
    this.unknown.clear();
    window.clearTimeout(this.startTimer);
    window.clearTimeout(this.askTimer);
    this.askTimer = undefined;
    this.loading = true;
    this.show();
    try {
      await this.load();
      this.error = null;
    } catch (error) {
      if (this.aborter.signal.aborted) return;
      this.error = messageOf(error);
      // No answer came: it goes on by itself when the agent is back.
      if (!(error instanceof ApiError))
        this.startTimer = window.setTimeout(this.retry, AGAIN_AFTER);
    }
    this.loading = false;
    this.show();
    if (this.error === null && !this.aborter.signal.aborted) this.openStream();
  }

  private async load(): Promise<void> {
    const before = this.timeline;
    const timeline = new Timeline();
    let after: string | null = null;
    let seq: number | null = null;
    this.cut = false;
    do {
      const query: TreeQuery = {
        root: this.root,
        attempts: "all",
        limit: PAGE,
        ...(after === null ? {} : { after }),
      };
      const page = await api.tree(this.id, query, this.aborter.signal);
      // Later pages may hold later changes; to take one in twice does no harm.
      seq ??= page.seq;
      for (const node of page.nodes) {
        if (node.type !== "Exec") continue;
        const queued = node.state === "queued" ? before.barsOf(node.path) : [];
        timeline.add(node.path, node.attempts, queued);
      }
      after = page.next;
      this.cut = after !== null && timeline.size >= MOST_ATTEMPTS;
      if (this.timeline.size <= timeline.size) {
        this.timeline = timeline;
        this.show();
      }
    } while (after !== null && !this.cut);
    this.timeline = timeline;
    this.seq = seq;
  }

  private openStream(): void {
    this.stream = new EventStream(this.id, {
      cursor: () => lastChange(this.waiting) ?? this.seq,
      onBatch: (batch) => {
        this.waiting.push(batch);
        this.showTimer ??= window.setTimeout(this.take, SHOW_EVERY);
      },
      // What stands around the page says how the connection is.
      onState: () => undefined,
      onReset: () => void this.start(),
    });
  }

  private readonly take = (): void => {
    this.showTimer = undefined;
    if (this.asking) return;
    for (const batch of this.waiting.splice(0)) {
      this.seq = lastChange([batch]) ?? this.seq;
      this.images = batch.pipeline.images;
      const isDocker = batch.pipeline.pipeline.engine === "docker";
      for (const change of batch.changes) {
        if (!this.isWithin(change.path)) continue;
        const bar = this.timeline.apply(change);
        if (bar !== null && this.isToAsk(bar, isDocker)) this.unknown.add(bar.path);
      }
    }
    if (this.unknown.size > 0 || this.timeline.waits) {
      this.askTimer ??= window.setTimeout(() => void this.ask(), ASK_EVERY);
    }
    this.show();
  };

  /** Without its container a bar stands in the wrong row; what it waited for is told of a few. */
  private isToAsk(bar: Bar, isDocker: boolean): boolean {
    if (bar.started === null) return false;
    if (isDocker && bar.container === null) return true;
    const isTold = bar.admitted !== null && bar.waitsFor === null;
    return !isTold && this.unknown.size < ASK_SINGLY;
  }

  private isWithin(path: string): boolean {
    if (this.cut && this.timeline.barsOf(path).length === 0) return false;
    return this.root === "/" || path === this.root || path.startsWith(`${this.root}/`);
  }

  /** Ask for what only the server knows of what began, and of what is queued. */
  private async ask(): Promise<void> {
    this.asking = true;
    try {
      await this.askBegun();
      if (this.timeline.waits) await this.askQueued();
    } catch {
      // It stands among the processes until the next change or visit tells more.
    }
    this.asking = false;
    this.askTimer = undefined;
    if (!this.aborter.signal.aborted) this.take();
  }

  private async askBegun(): Promise<void> {
    const paths = [...this.unknown];
    this.unknown.clear();
    if (paths.length > ASK_SINGLY) {
      await this.load();
      return;
    }
    for (const path of paths) {
      const { attempts } = await api.attempts(this.id, path, this.aborter.signal);
      this.timeline.add(path, attempts);
    }
  }

  private async askQueued(): Promise<void> {
    const query = {
      root: this.root,
      state: "queued",
      attempts: "none",
      limit: ASK_QUEUED,
    } as const;
    const { nodes } = await api.tree(this.id, query, this.aborter.signal);
    this.timeline.explain(nodes, this.images, Date.now() / 1000);
  }

  private show(): void {
    if (this.aborter.signal.aborted) return;
    this.version += 1;
    for (const listener of this.listeners) listener();
  }
}
