/** How rows that are in view moved, so that what is read can be held where it is. */

import type { Row } from "@/model/rows";

/** A row moves for itself as well; a shift is that of the page when this part of them shares it. */
const SHARE = 4;

/** Keys of the rows from one place to another, up to children that are not loaded. */
export function anchorsIn(rows: readonly Row[], from: number, to: number): string[] {
  const seen = rows.slice(from, to + 1);
  const gap = seen.findIndex((row) => row.kind === "more");
  return (gap < 0 ? seen : seen.slice(0, gap)).map((row) => row.key);
}

/**
 * By how many places rows moved that stood one below the other from `from` on.
 *
 * The least shift that a quarter of them shares; 0 where each moved for itself.
 */
export function shiftOf(anchors: readonly string[], from: number, rows: readonly Row[]): number {
  const places = new Map(anchors.map((key, place) => [key, from + place]));
  const votes = new Map<number, number>();
  for (const [place, row] of rows.entries()) {
    const before = places.get(row.key);
    if (before === undefined) continue;
    votes.set(place - before, (votes.get(place - before) ?? 0) + 1);
  }
  const shared = [...votes].filter(([, count]) => count * SHARE >= anchors.length);
  const [least] = shared.map(([shift]) => shift).toSorted((a, b) => Math.abs(a) - Math.abs(b));
  return least ?? 0;
}
