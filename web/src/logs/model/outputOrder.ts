/**
 * The lines of stdout and stderr in one sequence by time. The sequence is a list of segments, so
 * that an output of a million lines needs as many objects as it has bursts.
 */

import type { OutputStream } from "@/logs/model/outputPlaces";

/** Lines from this one on were printed at this time, in seconds, or a moment later. */
export type LineTime = readonly [line: number, time: number];

export interface StreamLines {
  /** Number of lines. */
  total: number;
  times: readonly LineTime[];
}

/** Consecutive lines of a stream; `at` is the place of the first one in the sequence. */
export interface Segment {
  at: number;
  stream: OutputStream;
  first: number;
  count: number;
}

interface Burst extends Segment {
  time: number;
}

/** The order of two streams; of lines with the same time, those of stdout come first. */
export function orderOf(stdout: StreamLines, stderr: StreamLines): Segment[] {
  const out = bursts("stdout", stdout);
  const err = bursts("stderr", stderr);
  const order: Segment[] = [];
  let at = 0;
  for (let o = 0, e = 0; o < out.length || e < err.length;) {
    const [nextOut, nextErr] = [out[o], err[e]];
    const takesOut =
      nextErr === undefined || (nextOut !== undefined && nextOut.time <= nextErr.time);
    const next = takesOut ? nextOut : nextErr;
    if (next === undefined) break;
    if (takesOut) o += 1;
    else e += 1;
    const last = order.at(-1);
    if (last?.stream === next.stream) last.count += next.count;
    else order.push({ at, stream: next.stream, first: next.first, count: next.count });
    at += next.count;
  }
  return order;
}

/** The lines of a stream between two records. Times never decrease: the lines keep their order. */
function bursts(stream: OutputStream, { total, times }: StreamLines): Burst[] {
  const known = times.filter(([line]) => line < total);
  const starts = known.length === 0 ? [[0, 0] as const] : known;
  const found: Burst[] = [];
  let latest = -Infinity;
  for (const [place, [line, time]] of starts.entries()) {
    latest = Math.max(latest, time);
    const first = place === 0 ? 0 : line;
    const count = (starts[place + 1]?.[0] ?? total) - first;
    if (count > 0) found.push({ at: 0, stream, first, count, time: latest });
  }
  return found;
}

/** The stream and line at a place in the sequence; null beyond its end. */
export function lineAt(
  order: readonly Segment[],
  place: number,
): { stream: OutputStream; line: number } | null {
  const segment = order[lastIndex(order.length, (index) => (order[index]?.at ?? 0) <= place)];
  if (segment === undefined || place < 0 || place >= segment.at + segment.count) return null;
  return { stream: segment.stream, line: segment.first + place - segment.at };
}

/** The places of the lines of a stream, for many lookups. */
export function placesOf(
  order: readonly Segment[],
  stream: OutputStream,
): (line: number) => number | null {
  const own = order.filter((segment) => segment.stream === stream);
  return (line) => {
    const segment = own[lastIndex(own.length, (index) => (own[index]?.first ?? 0) <= line)];
    if (segment === undefined || line >= segment.first + segment.count) return null;
    return segment.at + line - segment.first;
  };
}

/** The time of a line; null if it is unknown. */
export function timeOf(times: readonly LineTime[], line: number): number | null {
  return times[lastIndex(times.length, (index) => (times[index]?.[0] ?? 0) <= line)]?.[1] ?? null;
}

/** The last index with a condition that is true up to some index and false after it; -1 for none. */
export function lastIndex(count: number, holds: (index: number) => boolean): number {
  let [low, high] = [0, count];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(middle)) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
