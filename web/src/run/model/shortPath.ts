/** Shortens long paths in the middle, never at the leaf. */

import { ancestorsOf, ROOT } from "@/run/model/paths";

/** The name of a node in a list; the root has none. */
export function nodeLabel(path: string): string {
  return path === ROOT ? "whole pipeline" : path;
}

/** `/a/b/c/d` as `a/…/d`, if it has more than `max` characters. */
export function shortPath(path: string, max: number): string {
  const parts = path.split("/").filter((part) => part !== "");
  const leaf = parts.pop() ?? nodeLabel(ROOT);
  for (let kept = parts.length; kept > 0; kept -= 1) {
    const head = parts.slice(0, Math.ceil(kept / 2));
    const tail = parts.slice(parts.length - Math.floor(kept / 2));
    const middle = kept < parts.length ? ["…"] : [];
    const text = [...head, ...middle, ...tail, leaf].join("/");
    if (text.length <= max) return text;
  }
  return parts.length === 0 ? leaf : `…/${leaf}`;
}

/** Number of ancestors that a breadcrumb shows. */
const MAX_ANCESTORS = 3;

/** A node's ancestors below the root: all of a few, else the first, null and the nearest ones. */
export function shortAncestors(path: string): (string | null)[] {
  const all = ancestorsOf(path).filter((above) => above !== ROOT);
  if (all.length <= MAX_ANCESTORS) return all;
  return [...all.slice(0, 1), null, ...all.slice(1 - MAX_ANCESTORS)];
}
