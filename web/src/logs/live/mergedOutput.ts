/** The output of the commands of a group: the newest lines, earlier ones on request, new ones. */

import { api, type MergedQuery, messageOf, OfflineError } from "@/api/client";
import { waitForAttention } from "@/api/connection";
import { IN_CLOUD } from "@/api/deployment";
import type { MergedPage } from "@/api/schema";
import { LiveSource } from "@/api/stream";
import { type Line, linesOf, merged } from "@/logs/model/merged";

/** Lines per request, and lines in memory: of more, the oldest are dropped. */
const PAGE = 500;
const MAX_LINES = 20_000;
/** Polling interval of growing output, in ms. In the cloud, each request costs money. */
const POLL_MS = IN_CLOUD ? 2500 : 700;
/** Delays before output that could not be read is requested again, in ms; the last is repeated. */
const DELAYS_MS = [1000, 3000, 10_000, 30_000] as const;

export type MergedFilter = Pick<
  MergedQuery,
  "root" | "nodes" | "hidden" | "failed" | "services" | "level" | "text" | "regex" | "stream"
>;

export class MergedOutput extends LiveSource {
  lines: readonly Line[] = [];
  /** Whether the first response has arrived. */
  loaded = false;
  /** Whether earlier lines are being read now. */
  reading = false;
  commands: number;
  /** Commands whose earlier lines have not been read. */
  left: number;
  unread: MergedPage["unread"] = [];
  /** When a request is repeated, in seconds since the epoch. */
  nextTry: number | null = null;
  error: string | null = null;
  /** Old lines were dropped, so that earlier ones cannot be read. */
  dropped = false;

  private back: string | null = null;
  private next: string | null = null;
  private wanted = PAGE;
  private stopped = false;

  constructor(
    private readonly id: string,
    private readonly filter: MergedFilter,
    private running: boolean,
    /** Number of commands, as far as it is known before the first response. */
    commands: number,
  ) {
    super();
    this.commands = this.left = commands;
    void this.start();
  }

  /** Whether there are earlier lines. */
  get hasEarlier(): boolean {
    return this.back !== null && !this.dropped;
  }

  /** Set whether commands run. New output is requested once more after they have ended. */
  setRunning(running: boolean): void {
    if (running === this.running) return;
    this.running = running;
    this.poll(0);
  }

  loadEarlier(): void {
    if (!this.hasEarlier || this.reading) return;
    this.stopped = false;
    this.wanted = this.lines.length + PAGE;
    void this.guard(() => this.readBack());
  }

  stop(): void {
    this.stopped = true;
  }

  restart(): void {
    this.lines = [];
    this.loaded = this.dropped = this.stopped = false;
    this.back = this.next = this.error = null;
    this.wanted = PAGE;
    this.cancel("poll");
    void this.start();
  }

  private start(): Promise<void> {
    return this.guard(async () => {
      const page = await this.page(null);
      this.next = page.next;
      this.back = page.back;
      this.add(page);
      this.loaded = true;
      this.poll(POLL_MS);
      await this.readBack();
    });
  }

  /** Read earlier lines until there are enough; a page of a filter may have few or none. */
  private async readBack(): Promise<void> {
    this.reading = true;
    let tries = 0;
    while (this.back !== null && this.lines.length < this.wanted && !this.stopped) {
      this.show();
      const before = this.back;
      const page = await this.page(before);
      this.back = page.back;
      this.add(page);
      const waits = page.unread.some(({ again }) => again);
      if (waits && page.lines.length === 0) await this.delay(tries++);
      else tries = 0;
    }
    this.reading = false;
    this.show();
  }

  private poll(delay: number): void {
    this.cancel("poll");
    if (this.loaded) this.schedule("poll", delay, () => this.guard(() => this.follow()));
  }

  private async follow(): Promise<void> {
    const wasRunning = this.running;
    if (!document.hidden || !wasRunning) {
      let page: MergedPage;
      do {
        if (this.next === null) return this.restart();
        page = await this.page(this.next);
        this.next = page.next;
        this.add(page);
      } while (page.lines.length === PAGE);
      this.show();
    }
    if (wasRunning) this.poll(POLL_MS);
  }

  private add(page: MergedPage): void {
    this.lines = merged(this.lines, linesOf(page));
    if (this.lines.length > MAX_LINES) {
      this.lines = this.lines.slice(-MAX_LINES);
      this.dropped = true;
    }
    this.commands = page.commands;
    if (page.next === null) this.left = page.left;
    else if (!this.loaded) this.left = page.left;
    this.unread = page.unread;
    this.error = null;
  }

  /** Request a page until the server responds. */
  private async page(at: string | null): Promise<MergedPage> {
    for (let tries = 0; ; tries += 1) {
      try {
        const query = { ...this.filter, ignore_case: true, limit: PAGE };
        return await api.mergedOutput(this.id, at === null ? query : { ...query, at }, this.signal);
      } catch (error) {
        if (!(error instanceof OfflineError)) throw error;
      }
      this.unread = [{ count: Math.max(1, this.left), reason: "", again: true }];
      await this.delay(tries);
    }
  }

  private async delay(tries: number): Promise<void> {
    const delay = DELAYS_MS[Math.min(tries, DELAYS_MS.length - 1)] ?? 0;
    this.nextTry = (Date.now() + delay) / 1000;
    this.show();
    await waitForAttention(delay, this.signal);
    this.nextTry = null;
  }

  private async guard(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (this.signal.aborted) return;
      this.error = messageOf(error);
      this.reading = false;
      this.loaded = true;
      this.show();
    }
  }
}
