/** The output of an attempt. Fetches only the lines in view. */

import { api, ApiError, messageOf } from "@/api/client";
import { IN_CLOUD } from "@/api/deployment";
import { parseLine, PLAIN, type Span, type Style, styleAfter } from "@/lib/ansi";
import { LiveSource } from "@/api/stream";
import type { OutputStream } from "@/logs/model/outputPlaces";

/** Lines per request and in memory. */
const PAGE = 500;
const MAX_LINES = 60_000;
/** Polling interval of growing output, in ms. In the cloud, each request costs money. */
const POLL_MS = IN_CLOUD ? 2000 : 400;
/** Delay before lines are counted again if the server is unreachable, in ms. */
const RETRY_MS = 2000;
/** Number of previous lines that are parsed to find the colour at the start of a line. */
const STYLE_CONTEXT = 300;
/** Characters shown per line; downloads are complete. */
const MAX_LENGTH = 4000;

export interface LogLocation {
  id: string;
  path: string;
  attempt: number;
  stream: OutputStream;
}

export class LogReader extends LiveSource {
  /** Number of lines so far; null while they are being counted. */
  total: number | null = null;
  error: string | null = null;

  /** Bytes so far; -1 while unknown. */
  size = -1;

  private readonly lines = new Map<number, string>();
  private readonly styles = new Map<number, Style>();
  private readonly requested = new Set<number>();

  constructor(
    private readonly location: LogLocation,
    private running: boolean,
  ) {
    super();
    void this.countLines();
  }

  /** Set whether the output grows. It is polled once more after it ends. */
  setRunning(running: boolean): void {
    if (running === this.running) return;
    this.running = running;
    this.schedulePoll(0);
  }

  readonly retry = (): void => {
    this.cancel("retry");
    this.error = null;
    void this.countLines();
  };

  /** A line as spans; undefined until it is loaded. */
  spans(line: number): Span[] | undefined {
    const text = this.lines.get(line);
    if (text === undefined) return undefined;
    const { spans } = parseLine(text.slice(0, MAX_LENGTH), this.styleAt(line));
    const rest = text.length - MAX_LENGTH;
    if (rest > 0) {
      spans.push({ text: ` … ${rest} more characters`, style: { ...PLAIN, dim: true } });
    }
    return spans;
  }

  /** Fetch the missing lines of a range. */
  ensureLoaded(from: number, to: number): void {
    for (let line = from; line <= to; line += 1) {
      if (this.lines.has(line) || this.requested.has(line)) continue;
      void this.fetch(line, PAGE);
      return;
    }
  }

  private async countLines(): Promise<void> {
    // Each request counts a part of a long output.
    while (this.total === null && this.error === null && !this.signal.aborted) {
      await this.fetch(-PAGE, PAGE);
    }
    this.schedulePoll(POLL_MS);
  }

  private schedulePoll(delay: number): void {
    this.cancel("poll");
    this.schedule("poll", delay, () => this.poll());
  }

  private async poll(): Promise<void> {
    if (!document.hidden || !this.running) await this.fetchNewLines();
    if (this.running) this.schedulePoll(POLL_MS);
  }

  /** Fetch new lines, and the last line, which may have been incomplete. */
  private async fetchNewLines(): Promise<void> {
    const { id, ...query } = this.location;
    try {
      const end = await api.log(
        id,
        { ...query, offset: Math.max(0, this.size), limit: 1 },
        this.signal,
      );
      if (end.size !== this.size) await this.fetch(Math.max(0, (this.total ?? 0) - 1), PAGE);
    } catch (error) {
      this.fail(error);
    }
  }

  private async fetch(first: number, count: number): Promise<void> {
    const { id, ...query } = this.location;
    const numbers = first < 0 ? [] : Array.from({ length: count }, (_, index) => first + index);
    for (const number of numbers) this.requested.add(number);
    try {
      const found = await api.logLines(id, { ...query, first, count }, this.signal);
      if (this.lines.size > MAX_LINES) this.lines.clear();
      for (const [index, text] of found.lines.entries()) this.lines.set(found.first + index, text);
      this.styles.clear();
      this.total = found.total;
      this.size = found.size;
      this.error = null;
    } catch (error) {
      this.fail(error);
    } finally {
      for (const number of numbers) this.requested.delete(number);
    }
    this.show();
  }

  private fail(error: unknown): void {
    if (error instanceof DOMException && error.name === "AbortError") return;
    // The server is unreachable: keep the lines and retry.
    const isLost = !(error instanceof ApiError);
    this.error = !isLost || this.total === null ? messageOf(error) : null;
    if (isLost && this.total === null) this.schedule("retry", RETRY_MS, this.retry);
    this.show();
  }

  private styleAt(line: number): Style {
    let from = line;
    while (from > 0 && line - from < STYLE_CONTEXT && !this.styles.has(from)) {
      if (!this.lines.has(from - 1)) break;
      from -= 1;
    }
    let style = this.styles.get(from) ?? PLAIN;
    for (let at = from; at < line; at += 1) {
      this.styles.set(at, style);
      style = styleAfter(this.lines.get(at) ?? "", style);
    }
    this.styles.set(line, style);
    return style;
  }
}
