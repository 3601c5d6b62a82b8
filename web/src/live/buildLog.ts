/** What the build of an image prints, for as long as somebody looks. */

import { api, ApiError, messageOf } from "@/api/client";
import type { ImageStep } from "@/api/schema";
import { parseLine, PLAIN, type Span, type Style } from "@/lib/ansi";

/** Between two looks at a build that goes on, and at one that has ended, in ms. */
const SOON = 500;
const LATER = 3000;
/** Bytes of a long log that are shown: its end. */
const SHOWN_BYTES = 2 << 20;

export class BuildLog {
  lines: Span[][] = [];
  /** Bytes before the first line that is shown. */
  skipped = 0;
  /** Null until the first answer. */
  complete: boolean | null = null;
  error: string | null = null;
  steps: readonly ImageStep[] = [];
  version = 0;

  private next: number | null = null;
  /** The last line so far, which may still be open, and the style that it begins in. */
  private open = "";
  private style: Style = PLAIN;
  private readonly listeners = new Set<() => void>();
  private readonly aborter = new AbortController();
  private timer: number | undefined;

  constructor(
    private readonly id: string,
    private readonly image: string,
  ) {
    void this.look();
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

  private async look(): Promise<void> {
    try {
      await this.read();
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") return;
      // Without an answer it is tried again, and what is here stays.
      if (error instanceof ApiError) this.error = messageOf(error);
    }
    if (this.aborter.signal.aborted) return;
    this.version += 1;
    for (const listener of this.listeners) listener();
    const delay = this.complete === true || document.hidden ? LATER : SOON;
    this.timer = window.setTimeout(() => void this.look(), delay);
  }

  private async read(): Promise<void> {
    const { signal } = this.aborter;
    const offset = this.next ?? -SHOWN_BYTES;
    const log = await api.imageLog(this.id, { image: this.image, offset }, signal);
    this.error = null;
    this.complete = log.complete;
    this.steps = log.steps;
    if (this.next === null) {
      this.skipped = log.offset;
      this.take(log.offset === 0 ? log.text : log.text.slice(log.text.indexOf("\n") + 1));
    } else if (log.size < this.next) {
      this.restart(); // the image is being built anew
      return;
    } else {
      this.take(log.text);
    }
    this.next = log.next;
  }

  private restart(): void {
    this.lines = [];
    this.skipped = 0;
    this.next = null;
    this.open = "";
    this.style = PLAIN;
    this.complete = false;
  }

  private take(text: string): void {
    if (text === "") return;
    const lines = (this.open + text).split("\n");
    const kept = this.open === "" ? this.lines : this.lines.slice(0, -1);
    this.open = lines.pop() ?? "";
    const found = [...kept];
    for (const line of lines) {
      const parsed = parseLine(line, this.style);
      found.push(parsed.spans);
      this.style = parsed.style;
    }
    if (this.open !== "") found.push(parseLine(this.open, this.style).spans);
    this.lines = found;
  }
}
