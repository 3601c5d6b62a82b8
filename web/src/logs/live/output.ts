/** The output of an attempt: one stream, or both by time. */

import type { Span } from "@/lib/ansi";
import { type LogLocation, LogReader } from "@/logs/live/log";
import { OutlineReader } from "@/logs/live/outline";
import { LiveSource } from "@/api/stream";
import type { Marker } from "@/logs/model/outputGroups";
import { lineAt, orderOf, placesOf, type Segment, timeOf } from "@/logs/model/outputOrder";
import { type OutputStream, STREAMS, type StreamView } from "@/logs/model/outputPlaces";

export interface OutputLocation extends Omit<LogLocation, "stream"> {
  stream: StreamView;
}

interface Source {
  stream: OutputStream;
  lines: LogReader;
  outline: OutlineReader;
}

export function streamsOf(view: StreamView): readonly OutputStream[] {
  return view === "all" ? STREAMS : [view];
}

export class Output extends LiveSource {
  private readonly sources: readonly Source[];
  private cache: { key: string; order: Segment[]; markers: Marker[] } | null = null;

  constructor(
    { stream: view, ...attempt }: OutputLocation,
    private running: boolean,
  ) {
    super();
    this.sources = streamsOf(view).map((stream) => {
      const location = { ...attempt, stream };
      return {
        stream,
        lines: new LogReader(location, running),
        outline: new OutlineReader(location),
      };
    });
    for (const { lines, outline } of this.sources) {
      lines.subscribe(() => this.changed());
      outline.subscribe(() => this.changed());
    }
  }

  override close(): void {
    super.close();
    for (const { lines, outline } of this.sources) {
      lines.close();
      outline.close();
    }
  }

  setRunning(running: boolean): void {
    this.running = running;
    for (const { lines } of this.sources) lines.setRunning(running);
  }

  retry(): void {
    for (const { lines } of this.sources) lines.retry();
  }

  get error(): string | null {
    return this.sources.find(({ lines }) => lines.error !== null)?.lines.error ?? null;
  }

  /** Number of lines so far; null while they are counted or their order is unknown. */
  get total(): number | null {
    let total = 0;
    let waiting = false;
    let printing = 0;
    for (const { lines, outline } of this.sources) {
      if (lines.total === null) return null;
      total += lines.total;
      if (lines.total > 0) printing += 1;
      waiting ||= lines.total > 0 && !outline.ready;
    }
    return waiting && printing > 1 ? null : total;
  }

  /** Fetch the missing lines between two places. */
  ensureLoaded(from: number, to: number): void {
    for (const { at, stream, first, count } of this.order()) {
      if (at > to || at + count <= from) continue;
      const begin = first + Math.max(0, from - at);
      this.source(stream)?.lines.ensureLoaded(begin, first + Math.min(count - 1, to - at));
    }
  }

  /** A line as spans (undefined until it is loaded), its stream and its time in seconds. */
  lineAt(place: number): { spans: Span[] | undefined; stream: OutputStream; time: number | null } {
    const at = lineAt(this.order(), place);
    const source = at === null ? undefined : this.source(at.stream);
    if (at === null || source === undefined) {
      return { spans: undefined, stream: "stdout", time: null };
    }
    const { lines, outline } = source;
    return { spans: lines.spans(at.line), stream: at.stream, time: timeOf(outline.times, at.line) };
  }

  /** A function from a line of a stream to its place; null if it is not in the output yet. */
  placesIn(stream: OutputStream): (line: number) => number | null {
    return placesOf(this.order(), stream);
  }

  markers(): readonly Marker[] {
    return this.merged().markers;
  }

  private source(stream: OutputStream): Source | undefined {
    return this.sources.find((one) => one.stream === stream);
  }

  /** The lines of the streams in their order; the same array until it changes. */
  order(): readonly Segment[] {
    return this.merged().order;
  }

  private merged() {
    const counts = this.sources.flatMap(({ lines, outline }) => [
      lines.total,
      outline.times.length,
      outline.groups.length,
    ]);
    const key = counts.join(" ");
    if (this.cache?.key !== key) {
      const linesOf = (stream: OutputStream) => {
        const source = this.source(stream);
        return { total: source?.lines.total ?? 0, times: source?.outline.times ?? [] };
      };
      const order = orderOf(linesOf("stdout"), linesOf("stderr"));
      this.cache = { key, order, markers: this.markersIn(order) };
    }
    return this.cache;
  }

  private markersIn(order: readonly Segment[]): Marker[] {
    return this.sources.flatMap(({ stream, outline }) => {
      const placeIn = placesOf(order, stream);
      return outline.groups.flatMap(({ line, kind, title }) => {
        const place = placeIn(line);
        return place === null ? [] : [{ key: `${stream} ${line}`, place, kind, title }];
      });
    });
  }

  private changed(): void {
    for (const { lines, outline } of this.sources) outline.follow(lines.size, !this.running);
    this.show();
  }
}
