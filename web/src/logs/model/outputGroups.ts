/** The groups that markers in an output form, and the rows that remain when some are closed. */

import type { LogGroup } from "@/api/schema";
import { lastIndex } from "@/logs/model/outputOrder";

/** With more groups, nothing is folded. */
const MAX_GROUPS = 5000;

/** A marker at a place in the output. `key` identifies it while the output grows. */
export interface Marker {
  key: string;
  place: number;
  kind: LogGroup["kind"];
  title: string;
}

export interface OutputGroup {
  key: string;
  title: string;
  /** The place of its marker. */
  start: number;
  /** The place after its last line. */
  end: number;
  /** Whether its marker opens it. */
  open: boolean;
}

interface Folding {
  groups: OutputGroup[];
  /** Places of markers that are not shown. */
  ends: number[];
}

/** The groups of an output of `total` lines. A group ends at a marker or the next group. */
export function groupsOf(markers: readonly Marker[], total: number): Folding {
  const groups: OutputGroup[] = [];
  const ends: number[] = [];
  const sorted = markers.toSorted((a, b) => a.place - b.place);
  if (sorted.length > MAX_GROUPS) return { groups, ends };
  let current: OutputGroup | null = null;
  for (const { key, place, kind, title } of sorted) {
    if (place >= total) break;
    if (kind === "expand") {
      if (current !== null) current.open = true;
      ends.push(place);
      continue;
    }
    if (current !== null) current.end = place;
    current = null;
    if (kind === "end") ends.push(place);
    else {
      current = { key, title, start: place, end: total, open: kind === "open" };
      groups.push(current);
    }
  }
  return { groups, ends };
}

/** The group that contains a place; a marker is not in its group. */
export function groupAround(groups: readonly OutputGroup[], place: number): OutputGroup | null {
  const group = groups[lastIndex(groups.length, (index) => (groups[index]?.start ?? 0) < place)];
  return group !== undefined && place < group.end ? group : null;
}

/** Rows are the lines that are not hidden. */
export class OutputRows {
  readonly count: number;
  /** Number of hidden places before and including each hidden range. */
  private readonly hidden: { from: number; to: number; before: number }[] = [];

  /** `ranges` are hidden: they are sorted, and do not overlap. */
  constructor(total: number, ranges: readonly (readonly [from: number, to: number])[]) {
    let before = 0;
    for (const [from, to] of ranges) {
      if (to <= from) continue;
      this.hidden.push({ from, to, before });
      before += to - from;
    }
    this.count = Math.max(0, total - before);
  }

  /** The place of the line in a row. */
  placeAt(row: number): number {
    const { hidden } = this;
    const index = lastIndex(hidden.length, (at) => {
      const range = hidden[at];
      return range !== undefined && range.from - range.before <= row;
    });
    const range = hidden[index];
    return range === undefined ? row : row + range.before + range.to - range.from;
  }

  /** The row of a line, or of the line before it if it is hidden. */
  rowOf(place: number): number {
    const { hidden } = this;
    const range = hidden[lastIndex(hidden.length, (at) => (hidden[at]?.from ?? 0) <= place)];
    if (range === undefined) return place;
    if (place < range.to) return Math.max(0, range.from - range.before - 1);
    return place - range.before - (range.to - range.from);
  }
}

/** The rows of an output. Lines before `base` are hidden, as browsers limit heights. */
export function rowsOf(
  total: number,
  base: number,
  { groups, ends }: Folding,
  isOpen: (group: OutputGroup) => boolean,
): OutputRows {
  const ranges: [number, number][] = [];
  for (const group of groups) {
    if (!isOpen(group)) ranges.push([group.start + 1, group.end]);
  }
  for (const place of ends) ranges.push([place, place + 1]);
  ranges.sort((a, b) => a[0] - b[0]);
  const merged: [number, number][] = base > 0 ? [[0, base]] : [];
  for (const [from, to] of ranges) {
    const last = merged.at(-1);
    if (last !== undefined && from <= last[1]) last[1] = Math.max(last[1], to);
    else merged.push([from, to]);
  }
  return new OutputRows(total, merged);
}

/** Whether a group is open unless the user chose: the last one, and those that need attention. */
export function opensItself(
  group: OutputGroup,
  groups: readonly OutputGroup[],
  attention: readonly (number | null)[],
): boolean {
  if (group.open || group === groups.at(-1)) return true;
  return attention.some((place) => place !== null && group.start < place && place < group.end);
}
