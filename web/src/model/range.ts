/** The nodes from one row to another, also those between them that are not loaded. */

import type { TreeNode } from "@/model/node";
import { isWithin, parentOf, ROOT } from "@/model/paths";
import type { Row } from "@/model/rows";

/** A group in a range some of whose children are not loaded. */
export interface Gap {
  group: TreeNode;
  /** The found child that the range begins with or in; null when it begins before all children. */
  begin: string | null;
  /** The child that the range ends with or in; null when it goes on beyond the group. */
  end: string | null;
}

export interface Range {
  /** Paths of the rows in it. */
  paths: string[];
  gaps: Gap[];
}

/** What lies between two rows, both included. Of a row that is gone, the other one alone. */
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
    else gaps.push({ group: row.group, begin: null, end: childTowards(row.group.path, last) });
  }
  return { paths, gaps };
}

/** The gaps of a range that begins with a found row: it stands below the gap that it lies in. */
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
 * Those of a gap's children that lie in the range, and whether no later one does.
 *
 * `children` follow each other in definition order. Found ones do not: the range may begin with
 * one that is defined after its end. `started` tells that one of its ends came before them.
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
 * Paths of a range with those of a gap.
 *
 * `listed` are the group's children after those that are loaded in a row, in definition order,
 * that lie in the gap. They stand in that order in the range, though rows show the few that were
 * found before the others were loaded after the gap; what the order of states put first counts
 * where it stands.
 */
export function filled(
  paths: readonly string[],
  { group, begin }: Gap,
  front: readonly TreeNode[],
  listed: readonly string[],
): string[] {
  const ahead = new Set(front.map((node) => node.path));
  // Of a child that the range begins in, only the rows below it are in the range.
  const isIn = (path: string) => !ahead.has(path) && (path !== begin || paths.includes(path));
  const inside = listed.filter(isIn);
  const wanted = new Set(listed);
  const strays = group.children.beyond
    .map((node) => node.path)
    .filter((path) => !ahead.has(path) && !wanted.has(path));
  const stay = paths.filter((path) => !strays.some((stray) => isWithin(path, stray)));
  return [...new Set([...stay, ...inside])];
}

/** The child of a group that is a node or holds it; null when the node is not below the group. */
function childTowards(group: string, path: string): string | null {
  for (let at: string | null = path; at !== null; at = parentOf(at)) {
    if (parentOf(at) === group) return at;
  }
  return null;
}
