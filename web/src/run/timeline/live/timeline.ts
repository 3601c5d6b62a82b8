/** The attempts of a pipeline, kept current by the event stream. */

import { api, ApiError, messageOf } from "@/api/client";
import { EventStream, lastChange } from "@/api/events";
import type { ImageRecord } from "@/api/schema";
import { LiveSource, treePages } from "@/api/stream";
import type { Bar } from "@/run/timeline/model/lanes";
import { isWithin } from "@/run/model/paths";
import { Timeline } from "@/run/timeline/model/timeline";

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

export class TimelineSession extends LiveSource {
  timeline = new Timeline();
  loading = true;
  /** Not all attempts are shown. */
  truncated = false;
  error: string | null = null;

  private seq = 0;
  private stream: EventStream | null = null;
  /** Nodes whose container and waits are unknown. */
  private readonly incomplete = new Set<string>();
  private images: readonly ImageRecord[] = [];
  /** Responses may be older than events that arrive meanwhile, so these wait. */
  private querying = false;

  constructor(
    private readonly id: string,
    private readonly root: string,
  ) {
    super();
    void this.start();
  }

  override close(): void {
    super.close();
    this.stream?.close();
  }

  readonly retry = (): void => {
    if (this.error === null) this.stream?.retryNow();
    else void this.start();
  };

  private async start(): Promise<void> {
    this.stream?.close();
    this.stream = null;
    this.incomplete.clear();
    this.cancel("start");
    this.cancel("query");
    this.loading = true;
    this.show();
    try {
      await this.load();
      this.error = null;
    } catch (error) {
      if (this.signal.aborted) return;
      this.error = messageOf(error);
      // Retry automatically if the server is unreachable.
      if (!(error instanceof ApiError)) this.schedule("start", RETRY_MS, this.retry);
    }
    this.loading = false;
    this.show();
    if (this.error === null && !this.signal.aborted) this.openStream();
  }

  private async load(): Promise<void> {
    const before = this.timeline;
    const timeline = new Timeline();
    let seq: number | null = null;
    this.truncated = false;
    const query = { root: this.root, attempts: "all", limit: PAGE_SIZE } as const;
    for await (const page of treePages(this.id, query, this.signal)) {
      // Later pages may include later changes; applying them twice is harmless.
      seq ??= page.seq;
      for (const node of page.nodes) {
        if (node.type !== "Exec") {
          timeline.types.set(node.path, node.type);
          continue;
        }
        const queued = node.state === "queued" ? before.barsOf(node.path) : [];
        timeline.add(node.path, node.attempts, queued);
        timeline.addQueued(node);
      }
      this.truncated = page.next !== null && timeline.size >= MAX_ATTEMPTS;
      if (this.timeline.size <= timeline.size) {
        this.timeline = timeline;
        this.show();
      }
      if (this.truncated) break;
    }
    this.timeline = timeline;
    this.seq = seq ?? 0;
  }

  private openStream(): void {
    this.stream = new EventStream(this.id, {
      cursor: () => this.seq,
      onPending: () => this.schedule("apply", RENDER_MS, this.applyBatches),
      // The frame of the page shows the connection state.
      onState: () => undefined,
      onReset: () => void this.start(),
    });
  }

  private readonly applyBatches = (): void => {
    if (this.querying) return;
    for (const batch of this.stream?.take() ?? []) {
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
      this.schedule("query", QUERY_MS, () => this.query());
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
    return isWithin(path, this.root);
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
    if (!this.signal.aborted) this.applyBatches();
  }

  private async queryStarted(): Promise<void> {
    const paths = [...this.incomplete];
    this.incomplete.clear();
    if (paths.length > MAX_SINGLE_QUERIES) {
      await this.load();
      return;
    }
    for (const path of paths) {
      const { attempts } = await api.attempts(this.id, path, this.signal);
      this.timeline.add(path, attempts);
    }
  }

  private async queryQueued(): Promise<void> {
    const { root } = this;
    const query = { root, state: "queued", attempts: "none", limit: MAX_QUEUED } as const;
    const { nodes } = await api.tree(this.id, query, this.signal);
    this.timeline.updateWaits(nodes, this.images, Date.now() / 1000);
  }
}
