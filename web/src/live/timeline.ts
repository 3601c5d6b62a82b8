/** The attempts of a pipeline, kept current by the event stream. */

import { api, ApiError, messageOf, type TreeQuery } from "@/api/client";
import { EventStream, lastChange } from "@/api/events";
import type { EventBatch, ImageRecord } from "@/api/schema";
import type { Bar } from "@/model/lanes";
import { Timeline } from "@/model/timeline";

const PAGE_SIZE = 2000;
/** Maximum number of attempts; for others, the user selects a subtree. */
export const MAX_ATTEMPTS = 50_000;
/** Intervals of rendering changes and of requesting details that events lack, in ms. */
const RENDER_MS = 300;
const QUERY_MS = 2000;
/** Delay before retrying if the server is unreachable, in ms. */
const RETRY_MS = 2000;
/** Maximum number of nodes requested one by one; for more, everything is reloaded. */
const MAX_SINGLE_QUERIES = 20;
/** Maximum number of queued nodes whose wait reasons are requested. */
const MAX_QUEUED = 500;

export class TimelineSession {
  timeline = new Timeline();
  loading = true;
  /** Not all attempts are shown. */
  truncated = false;
  error: string | null = null;
  version = 0;

  private seq = 0;
  private stream: EventStream | null = null;
  private readonly pendingBatches: EventBatch[] = [];
  /** Nodes whose container and waits are unknown. */
  private readonly incomplete = new Set<string>();
  private images: readonly ImageRecord[] = [];
  /** Responses may be older than events that arrive meanwhile, so these wait. */
  private querying = false;
  private readonly aborter = new AbortController();
  private readonly listeners = new Set<() => void>();
  private startTimer: number | undefined;
  private renderTimer: number | undefined;
  private queryTimer: number | undefined;

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
    window.clearTimeout(this.renderTimer);
    window.clearTimeout(this.queryTimer);
  }

  readonly retry = (): void => {
    if (this.error === null) this.stream?.retryNow();
    else void this.start();
  };

  private async start(): Promise<void> {
    this.stream?.close();
    this.stream = null;
    this.pendingBatches.length = 0;
    this.incomplete.clear();
    window.clearTimeout(this.startTimer);
    window.clearTimeout(this.queryTimer);
    this.queryTimer = undefined;
    this.loading = true;
    this.show();
    try {
      await this.load();
      this.error = null;
    } catch (error) {
      if (this.aborter.signal.aborted) return;
      this.error = messageOf(error);
      // Retry automatically if the server is unreachable.
      if (!(error instanceof ApiError)) this.startTimer = window.setTimeout(this.retry, RETRY_MS);
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
    this.truncated = false;
    do {
      const query: TreeQuery = {
        root: this.root,
        attempts: "all",
        limit: PAGE_SIZE,
        ...(after === null ? {} : { after }),
      };
      const page = await api.tree(this.id, query, this.aborter.signal);
      // Later pages may include later changes; applying them twice is harmless.
      seq ??= page.seq;
      for (const node of page.nodes) {
        if (node.type !== "Exec") continue;
        const queued = node.state === "queued" ? before.barsOf(node.path) : [];
        timeline.add(node.path, node.attempts, queued);
      }
      after = page.next;
      this.truncated = after !== null && timeline.size >= MAX_ATTEMPTS;
      if (this.timeline.size <= timeline.size) {
        this.timeline = timeline;
        this.show();
      }
    } while (after !== null && !this.truncated);
    this.timeline = timeline;
    this.seq = seq;
  }

  private openStream(): void {
    this.stream = new EventStream(this.id, {
      cursor: () => lastChange(this.pendingBatches) ?? this.seq,
      onBatch: (batch) => {
        this.pendingBatches.push(batch);
        this.renderTimer ??= window.setTimeout(this.applyBatches, RENDER_MS);
      },
      // The frame of the page shows the connection state.
      onState: () => undefined,
      onReset: () => void this.start(),
    });
  }

  private readonly applyBatches = (): void => {
    this.renderTimer = undefined;
    if (this.querying) return;
    for (const batch of this.pendingBatches.splice(0)) {
      this.seq = lastChange([batch]) ?? this.seq;
      this.images = batch.pipeline.images;
      const isDocker = batch.pipeline.pipeline.engine === "docker";
      for (const change of batch.changes) {
        if (!this.isWithin(change.path)) continue;
        const bar = this.timeline.apply(change);
        if (bar !== null && this.isIncomplete(bar, isDocker)) this.incomplete.add(bar.path);
      }
    }
    if (this.incomplete.size > 0 || this.timeline.hasQueued) {
      this.queryTimer ??= window.setTimeout(() => void this.query(), QUERY_MS);
    }
    this.show();
  };

  /** A bar needs its container to be in the right row; wait times are requested only for a few. */
  private isIncomplete(bar: Bar, isDocker: boolean): boolean {
    if (bar.started === null) return false;
    if (isDocker && bar.container === null) return true;
    const hasWaitTimes = bar.admitted !== null && bar.waitsFor === null;
    return !hasWaitTimes && this.incomplete.size < MAX_SINGLE_QUERIES;
  }

  private isWithin(path: string): boolean {
    if (this.truncated && this.timeline.barsOf(path).length === 0) return false;
    return this.root === "/" || path === this.root || path.startsWith(`${this.root}/`);
  }

  /** Request the details of started and queued attempts. */
  private async query(): Promise<void> {
    this.querying = true;
    try {
      await this.queryStarted();
      if (this.timeline.hasQueued) await this.queryQueued();
    } catch {
      // Bars stay in the row of a process until the next request succeeds.
    }
    this.querying = false;
    this.queryTimer = undefined;
    if (!this.aborter.signal.aborted) this.applyBatches();
  }

  private async queryStarted(): Promise<void> {
    const paths = [...this.incomplete];
    this.incomplete.clear();
    if (paths.length > MAX_SINGLE_QUERIES) {
      await this.load();
      return;
    }
    for (const path of paths) {
      const { attempts } = await api.attempts(this.id, path, this.aborter.signal);
      this.timeline.add(path, attempts);
    }
  }

  private async queryQueued(): Promise<void> {
    const query = {
      root: this.root,
      state: "queued",
      attempts: "none",
      limit: MAX_QUEUED,
    } as const;
    const { nodes } = await api.tree(this.id, query, this.aborter.signal);
    this.timeline.updateWaits(nodes, this.images, Date.now() / 1000);
  }

  private show(): void {
    if (this.aborter.signal.aborted) return;
    this.version += 1;
    for (const listener of this.listeners) listener();
  }
}
