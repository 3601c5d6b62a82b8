/** The nodes from one row to another, also those between them that are not loaded. */

import type { TreeNode } from "@/model/node";
import { isWithin, parentOf, ROOT } from "@/model/paths";
import type { Row } from "@/model/rows";

/** A group in a range some of whose children are not loaded. */
export interface Gap {
  group: TreeNode;
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
  const last = rows[to]?.key ?? ROOT;
  const paths: string[] = [];
  const gaps: Gap[] = [];
  for (const row of rows.slice(from, to + 1)) {
    if (row.kind === "node") paths.push(row.key);
    else gaps.push({ group: row.group, end: childTowards(row.group.path, last) });
  }
  return { paths, gaps };
}

/**
 * Paths of a range with those of a gap.
 *
 * `listed` are the group's children after those that are loaded in a row, in definition order, up
 * to the gap's end. They stand in that order in the range, though rows show the few that were
 * found before the others were loaded after the gap; what the order of states put first counts
 * where it stands.
 */
export function filled(
  paths: readonly string[],
  { group }: Gap,
  front: readonly TreeNode[],
  listed: readonly string[],
): string[] {
  const ahead = new Set(front.map((node) => node.path));
  const inside = listed.filter((path) => !ahead.has(path));
  const wanted = new Set(inside);
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
