/** Searches the output of all commands of a group, a few at a time, and keeps what it finds. */

import { api, type LogSearchQuery, messageOf, OfflineError, type TreeQuery } from "@/api/client";
import { waitForAttention } from "@/api/connection";
import type { AttemptRecord, LogMatch, NodeView, TreePage } from "@/api/schema";
import { LiveSource } from "@/api/stream";
import { type OutputStream, STREAMS } from "@/logs/model/outputPlaces";
import { inTreeOrder } from "@/logs/model/outputSearch";

/** Requests at the same time, and nodes per request. */
const PARALLEL = 6;
const PAGE = 1000;
/** Lines per node, and lines after which the search waits until the user continues it. */
const MAX_PER_NODE = 20;
const MAX_LINES = 300;
/** Interval between updates of the page, in ms. */
const UPDATE_MS = 150;
/** Delays before output that could not be read is requested again, in ms; the last is repeated. */
const DELAYS_MS = [1000, 3000, 10_000, 30_000] as const;

export interface OutputQuery {
  text: string;
  regex: boolean;
  /** Only commands that failed. */
  failed: boolean;
}

export interface FoundLine {
  stream: OutputStream;
  match: LogMatch;
}

/** A command with matching lines. */
export interface FoundNode {
  /** Its number in the order of the tree. */
  order: number;
  node: NodeView;
  attempt: number;
  lines: FoundLine[];
  /** There are more lines in this node. */
  more: boolean;
}

interface Job {
  order: number;
  node: NodeView;
  attempt: AttemptRecord;
}

export type SearchPhase = "searching" | "paused" | "stopped" | "finished";

export class OutputSearch extends LiveSource {
  found: readonly FoundNode[] = [];
  /** Number of commands that were searched or have no output. */
  searched = 0;
  lines = 0;
  phase: SearchPhase = "searching";
  error: string | null = null;
  /** Requests without a response, and when the next one is repeated, in seconds since the epoch. */
  unread = 0;
  nextTry: number | null = null;

  private limit = MAX_LINES;
  private continueSearch: (() => void) | null = null;
  private waiting: Promise<void> | null = null;

  constructor(
    private readonly id: string,
    private readonly root: string,
    private readonly query: OutputQuery,
  ) {
    super();
    void this.search();
  }

  /** Search further after the limit on lines. */
  resume(): void {
    this.limit = this.lines + MAX_LINES;
    this.phase = "searching";
    this.continueSearch?.();
    this.waiting = this.continueSearch = null;
    this.show();
  }

  /** Stop, and keep the results so far. */
  stop(): void {
    if (this.phase === "finished") return;
    this.phase = "stopped";
    this.show();
    this.close();
  }

  private async search(): Promise<void> {
    const jobs = this.jobs();
    try {
      await Promise.all(Array.from({ length: PARALLEL }, () => this.work(jobs)));
      this.phase = "finished";
    } catch (error) {
      if (this.signal.aborted) return;
      this.error = messageOf(error);
      this.phase = "stopped";
    }
    this.show();
  }

  private async work(jobs: AsyncGenerator<Job>): Promise<void> {
    for await (const job of jobs) {
      const found = await this.persistently(() => this.searchNode(job));
      this.searched += 1;
      if (found.lines.length > 0) {
        this.lines += found.lines.length;
        this.found = inTreeOrder(this.found, found);
      }
      if (this.lines >= this.limit) await this.pause();
      this.schedule("update", UPDATE_MS, () => this.show());
    }
  }

  /** The commands with output, in the order of the tree. */
  private async *jobs(): AsyncGenerator<Job> {
    const { failed } = this.query;
    const query = { root: this.root, attempts: "newest", limit: PAGE } as const;
    let order = 0;
    let after: string | null = null;
    do {
      const rest: TreeQuery = {
        ...(failed ? { failed } : {}),
        ...(after === null ? {} : { after }),
      };
      const page: TreePage = await this.persistently(() =>
        api.tree(this.id, { ...query, ...rest }, this.signal),
      );
      for (const node of page.nodes) {
        if (node.type !== "Exec") continue;
        order += 1;
        const attempt = node.attempts.at(-1);
        if (attempt === undefined || attempt.output_bytes === 0) this.searched += 1;
        else yield { order, node, attempt };
      }
      after = page.next;
    } while (after !== null);
  }

  /** Repeat a request until the server responds. */
  private async persistently<Result>(request: () => Promise<Result>): Promise<Result> {
    for (let tries = 0; ; tries += 1) {
      try {
        return await request();
      } catch (error) {
        if (!(error instanceof OfflineError)) throw error;
      }
      const delay = DELAYS_MS[Math.min(tries, DELAYS_MS.length - 1)] ?? 0;
      this.unread += 1;
      const nextTry = Date.now() / 1000 + delay / 1000;
      this.nextTry = Math.min(this.nextTry ?? nextTry, nextTry);
      this.show();
      await waitForAttention(delay, this.signal);
      this.unread -= 1;
      this.nextTry = null;
      this.show();
    }
  }

  private async searchNode({ order, node, attempt }: Job): Promise<FoundNode> {
    const { text, regex } = this.query;
    const query = { path: node.path, attempt: attempt.number, text, regex, ignore_case: true };
    const results = await Promise.all(
      STREAMS.map((stream) => this.searchStream({ ...query, stream, limit: MAX_PER_NODE })),
    );
    const lines = results.flatMap(({ matches }, at) =>
      matches.map((match) => ({ stream: STREAMS[at] ?? "stdout", match })),
    );
    const more = results.some(({ next }) => next !== null);
    return { order, node, attempt: attempt.number, lines, more };
  }

  private searchStream(query: LogSearchQuery) {
    return api.searchLog(this.id, query, this.signal);
  }

  /** Wait until the user continues. */
  private pause(): Promise<void> {
    this.phase = "paused";
    this.waiting ??= new Promise((resolve) => {
      this.continueSearch = resolve;
    });
    this.show();
    return this.waiting;
  }
}
