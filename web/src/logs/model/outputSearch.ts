/** Results of a search in the output of many commands, and links to them. */

import { lastIndex } from "@/logs/model/outputOrder";

/** Insert a result where its command is in the tree. */
export function inTreeOrder<Found extends { order: number }>(
  found: readonly Found[],
  added: Found,
): Found[] {
  const after = lastIndex(found.length, (at) => (found[at]?.order ?? 0) < added.order) + 1;
  return [...found.slice(0, after), added, ...found.slice(after)];
}

/** Paths start with a slash and names are never empty, so `//` separates two paths. */
const SEPARATOR = "//";

/** Paths as one query parameter; null for none. */
export function pathsText(paths: readonly string[]): string | null {
  return paths.length === 0 ? null : `/${paths.map((path) => path.slice(1)).join(SEPARATOR)}`;
}

/** The paths in a query parameter, each once. */
export function pathsFrom(text: string | null): string[] {
  if (text === null || text === "") return [];
  return [...new Set(text.slice(1).split(SEPARATOR))].map((path) => `/${path}`);
}
