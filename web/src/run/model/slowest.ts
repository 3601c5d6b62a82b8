/** The commands of a pipeline that took longest, against earlier runs. */

import type { NodeView } from "@/api/schema";
import type { UsualTime } from "@/run/model/usual";

export interface SlowNode {
  path: string;
  seconds: number;
  /** The median of earlier runs; null if unknown. */
  median: number | null;
}

/** `{path: seconds}` of the finished commands. */
export function secondsOf(nodes: readonly NodeView[]): Map<string, number> {
  const found = new Map<string, number>();
  for (const { path, type, attempts } of nodes) {
    const last = attempts.at(-1);
    if (type !== "Exec" || last === undefined) continue;
    if (last.started !== null && last.ended !== null) found.set(path, last.ended - last.started);
  }
  return found;
}

/** The `count` slowest commands. */
export function slowest(
  seconds: ReadonlyMap<string, number>,
  usual: ReadonlyMap<string, UsualTime>,
  count: number,
): SlowNode[] {
  return [...seconds]
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, count)
    .map(([path, took]) => ({ path, seconds: took, median: usual.get(path)?.usual ?? null }));
}

/** Smaller differences from the median are noise: in seconds, and as a share of the median. */
const MIN_DIFFERENCE = 0.5;
const MIN_SHARE = 0.25;

/** The `count` commands that differ most from their median, largest difference first. */
export function deviations(
  seconds: ReadonlyMap<string, number>,
  usual: ReadonlyMap<string, UsualTime>,
  count: number,
): (SlowNode & { median: number; difference: number })[] {
  return [...seconds]
    .flatMap(([path, took]) => {
      const median = usual.get(path)?.usual ?? null;
      if (median === null) return [];
      const difference = took - median;
      const isNoise = Math.abs(difference) < Math.max(MIN_DIFFERENCE, median * MIN_SHARE);
      return isNoise ? [] : [{ path, seconds: took, median, difference }];
    })
    .toSorted((a, b) => Math.abs(b.difference) - Math.abs(a.difference))
    .slice(0, count);
}

export interface MemoryPeak {
  path: string;
  /** Bytes. */
  peak: number;
  limit: number | null;
}

/** The memory that commands used, as far as it is known. */
export function memoryPeaks(nodes: readonly NodeView[]): MemoryPeak[] {
  return nodes.flatMap(({ path, attempts }) => {
    const last = attempts.at(-1);
    if (last === undefined || last.peak_memory === null) return [];
    const limit = last.mem === null ? null : last.mem * 2 ** 30;
    return [{ path, peak: last.peak_memory, limit }];
  });
}

/** A command that uses more of its memory than this share may soon run out of it. */
const NEAR = 0.9;

export function isNear(peak: number, limit: number | null): boolean {
  return limit !== null && peak > limit * NEAR;
}
