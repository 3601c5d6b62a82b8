/** Measures how far visible rows moved, so that scrolling can compensate. */

import type { Row } from "@/run/tree/model/rows";

/** Rows may move on their own; a shift counts if one in this many rows shares it. */
const MIN_SHARE = 4;

/** Keys of the rows in a range, up to children that are not loaded. */
export function visibleKeys(rows: readonly Row[], from: number, to: number): string[] {
  const seen = rows.slice(from, to + 1);
  const gap = seen.findIndex((row) => row.kind === "more");
  return (gap < 0 ? seen : seen.slice(0, gap)).map((row) => row.key);
}

/**
 * How far rows moved that were in sequence at `from`: the smallest shift shared by a quarter of
 * them, or 0.
 */
export function rowShift(anchors: readonly string[], from: number, rows: readonly Row[]): number {
  const places = new Map(anchors.map((key, place) => [key, from + place]));
  const votes = new Map<number, number>();
  for (const [place, row] of rows.entries()) {
    const before = places.get(row.key);
    if (before === undefined) continue;
    votes.set(place - before, (votes.get(place - before) ?? 0) + 1);
  }
  const shared = [...votes].filter(([, count]) => count * MIN_SHARE >= anchors.length);
  const [least] = shared.map(([shift]) => shift).toSorted((a, b) => Math.abs(a) - Math.abs(b));
  return least ?? 0;
}
