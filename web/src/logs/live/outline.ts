/** When the lines of an output stream were printed, and the groups that they form. */

import { api } from "@/api/client";
import type { LogGroup } from "@/api/schema";
import type { LogLocation } from "@/logs/live/log";
import { LiveSource } from "@/api/stream";
import type { LineTime } from "@/logs/model/outputOrder";

export class OutlineReader extends LiveSource {
  readonly times: LineTime[] = [];
  readonly groups: LogGroup[] = [];
  /** Whether the whole output was read once; also true if reading it failed. */
  ready = false;

  private lines = 0;
  private next = 0;
  /** Bytes of the stream at the last request, and whether it was complete. */
  private size = -1;
  private complete = false;
  private reading = false;

  constructor(private readonly location: LogLocation) {
    super();
  }

  /** Read the output since the last call. `ended`: the attempt has ended. */
  follow(size: number, ended: boolean): void {
    const isCurrent = size === this.size && (this.complete || !ended);
    if (size < 0 || isCurrent || this.reading || this.isScheduled("retry")) return;
    void this.read();
  }

  private async read(): Promise<void> {
    this.reading = true;
    try {
      while (!this.signal.aborted && (await this.readPart()));
    } catch (error) {
      // Without times, the streams follow each other. The next change retries.
      if (!this.signal.aborted) console.info(error);
      this.schedule("retry", 2000, () => this.show());
    } finally {
      this.reading = false;
      this.ready = true;
      this.show();
    }
  }

  /** Read the next part; return whether there may be more. */
  private async readPart(): Promise<boolean> {
    const { id, ...query } = this.location;
    const part = await api.logOutline(id, { ...query, offset: this.next }, this.signal);
    for (const [line, time] of part.times) this.times.push([this.lines + (line ?? 0), time ?? 0]);
    for (const group of part.groups) {
      this.groups.push({ ...group, line: this.lines + group.line });
    }
    const moved = part.next > this.next;
    this.lines += part.lines;
    this.next = part.next;
    this.size = part.size;
    this.complete = part.complete;
    return moved && part.next < part.size;
  }
}
