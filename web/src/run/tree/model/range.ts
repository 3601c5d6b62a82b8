/** The nodes between two rows, including those that are not loaded. */

import type { TreeNode } from "@/run/model/node";
import { isWithin, parentOf, ROOT } from "@/run/model/paths";
import type { Row } from "@/run/tree/model/rows";

/** A group in the range whose children are only partly loaded. */
export interface Gap {
  group: TreeNode;
  /** The child with the start of the range; null if the range starts before all children. */
  begin: string | null;
  /** The child with the end of the range; null if the range continues after the group. */
  end: string | null;
}

export interface Range {
  paths: string[];
  gaps: Gap[];
}

/** The range between two rows, inclusive; only the existing row if the other was deleted. */
export function rangeOf(rows: readonly Row[], one: string, other: string): Range {
  const places = [one, other].map((path) => rows.findIndex((row) => row.key === path));
  const there = places.filter((place) => place >= 0);
  if (there.length === 0) return { paths: [], gaps: [] };
  const from = Math.min(...there);
  const to = Math.max(...there);
  const [first, last] = [rows[from]?.key ?? ROOT, rows[to]?.key ?? ROOT];
  const paths: string[] = [];
  const gaps = gapsAbove(rows.slice(0, from), first, last);
  for (const row of rows.slice(from, to + 1)) {
    if (row.kind === "node") paths.push(row.key);
    else if (row.kind === "more")
      gaps.push({ group: row.group, begin: null, end: childTowards(row.group.path, last) });
  }
  return { paths, gaps };
}

/** Gaps above a range that starts at a node found beyond them. */
function gapsAbove(above: readonly Row[], first: string, last: string): Gap[] {
  const gaps: Gap[] = [];
  for (const row of above) {
    if (row.kind !== "more" || !isWithin(first, row.group.path)) continue;
    const [begin, end] = [first, last].map((path) => childTowards(row.group.path, path));
    if (begin !== end) gaps.push({ group: row.group, begin: begin ?? null, end: end ?? null });
  }
  return gaps;
}

/**
 * The children of a gap that are in the range, and whether the range ends among them.
 *
 * `children` are in definition order. Nodes beyond the gap may not be, so the range may begin with
 * one that is defined after its end. `started`: one end of the range was in an earlier page.
 */
export function withinGap<Child extends { path: string }>(
  { begin, end }: Gap,
  children: readonly Child[],
  started: boolean,
): { inside: Child[]; over: boolean } {
  const isEnd = ({ path }: Child) => path === begin || path === end;
  const from = started ? 0 : children.findIndex(isEnd);
  if (from < 0) return { inside: [], over: false };
  const rest = children.slice(from);
  const last = rest.findIndex((child, at) => isEnd(child) && (started || at > 0));
  return last < 0 ? { inside: rest, over: false } : { inside: rest.slice(0, last + 1), over: true };
}

/**
 * Add the children of a gap to the paths of a range.
 *
 * `listed` are the children in the gap in definition order. They replace nodes beyond the gap;
 * active nodes stay where they are shown.
 */
export function fillGap(
  paths: readonly string[],
  { group, begin }: Gap,
  front: readonly TreeNode[],
  listed: readonly string[],
): string[] {
  const activePaths = new Set(front.map((node) => node.path));
  // Of the child in which the range begins, only rows below it are included.
  const isIn = (path: string) => !activePaths.has(path) && (path !== begin || paths.includes(path));
  const inside = listed.filter(isIn);
  const listedPaths = new Set(listed);
  const strays = group.children.beyond
    .map((node) => node.path)
    .filter((path) => !activePaths.has(path) && !listedPaths.has(path));
  const stay = paths.filter((path) => !strays.some((stray) => isWithin(path, stray)));
  return [...new Set([...stay, ...inside])];
}

/** The child of a group that is the node or contains it; null if none is. */
function childTowards(group: string, path: string): string | null {
  for (let at: string | null = path; at !== null; at = parentOf(at)) {
    if (parentOf(at) === group) return at;
  }
  return null;
}
