/** One output of one attempt: only the lines that somebody looks at are fetched. */

import { api, ApiError, type LogLinesQuery, messageOf } from "@/api/client";
import { IN_CLOUD } from "@/api/side";
import { parseLine, PLAIN, type Span, type Style, styleAfter } from "@/lib/ansi";

/** Lines that are asked for at once, and held at most. */
const PAGE = 500;
const HELD = 60_000;
/** Between two looks at an output that still grows, in ms. In the cloud each one is paid for. */
const LOOK_EVERY = IN_CLOUD ? 2000 : 400;
/** Lines that are looked back at for the colour that a line begins in. */
const LOOK_BACK = 300;
/** Letters of a line that are shown; a download has all of them. */
const LONGEST = 4000;

export interface LogPlace {
  id: string;
  path: string;
  attempt: number;
  stream: NonNullable<LogLinesQuery["stream"]>;
}

export class LogReader {
  /** Lines so far; null while they are being counted. */
  total: number | null = null;
  error: string | null = null;
  version = 0;

  private size = -1;
  private readonly lines = new Map<number, string>();
  private readonly styles = new Map<number, Style>();
  private readonly asked = new Set<number>();
  private readonly listeners = new Set<() => void>();
  private readonly aborter = new AbortController();
  private timer: number | undefined;

  constructor(
    private readonly place: LogPlace,
    private running: boolean,
  ) {
    void this.begin();
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly getVersion = (): number => this.version;

  close(): void {
    this.aborter.abort();
    window.clearTimeout(this.timer);
  }

  /** Whether it still grows. Once it no longer does, it is looked at a last time. */
  setRunning(running: boolean): void {
    if (running === this.running) return;
    this.running = running;
    this.lookSoon(0);
  }

  /** Try again what failed. */
  retry(): void {
    this.error = null;
    void this.begin();
  }

  /** A line as spans; undefined while it is not here. */
  spans(line: number): Span[] | undefined {
    const text = this.lines.get(line);
    if (text === undefined) return undefined;
    const { spans } = parseLine(text.slice(0, LONGEST), this.styleAt(line));
    const rest = text.length - LONGEST;
    if (rest > 0) {
      spans.push({ text: ` … ${rest} more letters`, style: { ...PLAIN, dim: true } });
    }
    return spans;
  }

  /** Fetch what is missing of some lines. */
  need(from: number, to: number): void {
    for (let line = from; line <= to; line += 1) {
      if (this.lines.has(line) || this.asked.has(line)) continue;
      void this.fetch(line, PAGE);
      return;
    }
  }

  private async begin(): Promise<void> {
    // Each call counts a part of a long output.
    while (this.total === null && this.error === null && !this.aborter.signal.aborted) {
      await this.fetch(-PAGE, PAGE);
    }
    this.lookSoon(LOOK_EVERY);
  }

  private lookSoon(delay: number): void {
    window.clearTimeout(this.timer);
    if (this.aborter.signal.aborted) return;
    this.timer = window.setTimeout(() => void this.look(), delay);
  }

  private async look(): Promise<void> {
    if (!document.hidden || !this.running) await this.grow();
    if (this.running) this.lookSoon(LOOK_EVERY);
  }

  /** Take what was printed since: the last line, which may have been open, and what follows. */
  private async grow(): Promise<void> {
    const { id, ...query } = this.place;
    try {
      const { signal } = this.aborter;
      const end = await api.log(id, { ...query, offset: Math.max(0, this.size), limit: 1 }, signal);
      if (end.size !== this.size) await this.fetch(Math.max(0, (this.total ?? 0) - 1), PAGE);
    } catch (error) {
      this.fail(error);
    }
  }

  private async fetch(first: number, count: number): Promise<void> {
    const { id, ...query } = this.place;
    const numbers = first < 0 ? [] : Array.from({ length: count }, (_, index) => first + index);
    for (const number of numbers) this.asked.add(number);
    try {
      const { signal } = this.aborter;
      const found = await api.logLines(id, { ...query, first, count }, signal);
      if (this.lines.size > HELD) this.lines.clear();
      for (const [index, text] of found.lines.entries()) this.lines.set(found.first + index, text);
      this.styles.clear();
      this.total = found.total;
      this.size = found.size;
      this.error = null;
    } catch (error) {
      this.fail(error);
    } finally {
      for (const number of numbers) this.asked.delete(number);
    }
    this.show();
  }

  private fail(error: unknown): void {
    if (error instanceof DOMException && error.name === "AbortError") return;
    // Without an answer it is tried again; what is here stays.
    this.error = error instanceof ApiError || this.total === null ? messageOf(error) : null;
    this.show();
  }

  private styleAt(line: number): Style {
    let from = line;
    while (from > 0 && line - from < LOOK_BACK && !this.styles.has(from)) {
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

  private show(): void {
    if (this.aborter.signal.aborted) return;
    this.version += 1;
    for (const listener of this.listeners) listener();
  }
}
