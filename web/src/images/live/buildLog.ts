/** The build log of an image, polled while it is open. */

import { api, ApiError, messageOf } from "@/api/client";
import type { ImageStep } from "@/api/schema";
import { parseLine, PLAIN, type Span, type Style } from "@/lib/ansi";
import { LiveSource } from "@/api/stream";

/** Polling intervals during and after a build, in ms. */
const ACTIVE_MS = 500;
const IDLE_MS = 3000;
/** Only the end of a longer log is shown. */
const MAX_BYTES = 2 << 20;

export class BuildLog extends LiveSource {
  lines: Span[][] = [];
  /** Bytes before the first line. */
  skipped = 0;
  /** Null until the first response. */
  complete: boolean | null = null;
  error: string | null = null;
  steps: readonly ImageStep[] = [];

  private next: number | null = null;
  /** The last, possibly incomplete line and the style at its start. */
  private partial = "";
  private style: Style = PLAIN;

  constructor(
    private readonly id: string,
    private readonly image: string,
  ) {
    super();
    void this.poll();
  }

  private async poll(): Promise<void> {
    try {
      await this.read();
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") return;
      // The server is unreachable: keep the lines and poll again.
      if (error instanceof ApiError) this.error = messageOf(error);
    }
    this.show();
    const delay = this.complete === true || document.hidden ? IDLE_MS : ACTIVE_MS;
    this.schedule("poll", delay, () => this.poll());
  }

  private async read(): Promise<void> {
    const offset = this.next ?? -MAX_BYTES;
    const log = await api.imageLog(this.id, { image: this.image, offset }, this.signal);
    this.error = null;
    this.complete = log.complete;
    this.steps = log.steps;
    if (this.next === null) {
      this.skipped = log.offset;
      this.append(log.offset === 0 ? log.text : log.text.slice(log.text.indexOf("\n") + 1));
    } else if (log.size < this.next) {
      this.restart(); // the image is being rebuilt
      return;
    } else {
      this.append(log.text);
    }
    this.next = log.next;
  }

  private restart(): void {
    this.lines = [];
    this.skipped = 0;
    this.next = null;
    this.partial = "";
    this.style = PLAIN;
    this.complete = false;
  }

  private append(text: string): void {
    if (text === "") return;
    const lines = (this.partial + text).split("\n");
    const kept = this.partial === "" ? this.lines : this.lines.slice(0, -1);
    this.partial = lines.pop() ?? "";
    const found = [...kept];
    for (const line of lines) {
      const parsed = parseLine(line, this.style);
      found.push(parsed.spans);
      this.style = parsed.style;
    }
    if (this.partial !== "") found.push(parseLine(this.partial, this.style).spans);
    this.lines = found;
  }
}
