/** Groups that a reader opened and closed, as they stand in the address of a page. */

import { ancestorsOf, isWithin } from "@/model/paths";
import type { Choices } from "@/model/rows";

/** Characters of an address that they may take. */
export const MOST_LETTERS = 1500;

/** No name is empty or holds a slash: between two paths, which begin with one, stands another. */
const BETWEEN = "//";
const NAMES = { open: true, closed: false } as const;

export type InAddress = Record<keyof typeof NAMES, string | null>;

/**
 * Parameters of the address for what was chosen.
 *
 * Where it is too much, those stay that are nearest to the node `current`. Groups above it are
 * not named as open: a link to it opens them.
 */
export function toAddress(choices: Choices, current: string): InAddress {
  const told = [...choices].filter(
    ([path, open]) => !(open && path !== current && isWithin(current, path)),
  );
  const near = told
    .map(([path, open]) => ({ path, open, far: distance(path, current) }))
    .toSorted((a, b) => a.far - b.far);
  const kept = { open: [] as string[], closed: [] as string[] };
  let letters = 0;
  for (const { path, open } of near) {
    letters += encodedLength(path);
    if (letters > MOST_LETTERS) break;
    kept[open ? "open" : "closed"].push(path.slice(1));
  }
  // In an order of their own, an address is the same whichever node is near.
  return { open: joined(kept.open), closed: joined(kept.closed) };
}

/** What an address says of groups. */
export function fromAddress(query: URLSearchParams): Map<string, boolean> {
  const choices = new Map<string, boolean>();
  for (const [name, open] of Object.entries(NAMES)) {
    const text = query.get(name);
    if (text === null) continue;
    for (const path of text.slice(1).split(BETWEEN)) choices.set(`/${path}`, open);
  }
  return choices;
}

function joined(paths: string[]): string | null {
  return paths.length === 0 ? null : `/${paths.toSorted().join(BETWEEN)}`;
}

/** What a path takes in an address, with what stands before it. */
function encodedLength(path: string): number {
  return new URLSearchParams({ "": `${BETWEEN}${path.slice(1)}` }).toString().length - 1;
}

/** Steps from one node to another along the tree. */
function distance(one: string, other: string): number {
  const [above, others] = [one, other].map((path) => [...ancestorsOf(path), path]);
  const shared = (above ?? []).filter((path) => others?.includes(path)).length;
  return (above?.length ?? 0) + (others?.length ?? 0) - 2 * shared;
}
