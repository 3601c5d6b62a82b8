/** Groups that the user opened or closed, as query parameters. */

import { ancestorsOf, isWithin } from "@/run/model/paths";
import type { Choices } from "@/run/tree/model/rows";

/** Maximum length in the URL. */
export const MAX_CHARACTERS = 1500;

/** Paths start with a slash and names are never empty, so `//` separates two paths. */
const SEPARATOR = "//";
const NAMES = { open: true, closed: false } as const;

export type GroupQuery = Record<keyof typeof NAMES, string | null>;

/**
 * Query parameters for the user's choices. If there are too many, those nearest to `current` are
 * kept. Open ancestors of `current` are omitted: a link to a node opens them.
 */
export function toQuery(choices: Choices, current: string): GroupQuery {
  const explicit = [...choices].filter(
    ([path, open]) => !(open && path !== current && isWithin(current, path)),
  );
  const nearest = explicit
    .map(([path, open]) => ({ path, open, far: distance(path, current) }))
    .toSorted((a, b) => a.far - b.far);
  const selected = { open: [] as string[], closed: [] as string[] };
  let characters = 0;
  for (const { path, open } of nearest) {
    characters += encodedLength(path);
    if (characters > MAX_CHARACTERS) break;
    selected[open ? "open" : "closed"].push(path.slice(1));
  }
  // Sort, so that the URL does not depend on the current node.
  return { open: joined(selected.open), closed: joined(selected.closed) };
}

export function fromQuery(query: URLSearchParams): Map<string, boolean> {
  const choices = new Map<string, boolean>();
  for (const [name, open] of Object.entries(NAMES)) {
    const text = query.get(name);
    if (text === null) continue;
    for (const path of text.slice(1).split(SEPARATOR)) choices.set(`/${path}`, open);
  }
  return choices;
}

function joined(paths: string[]): string | null {
  return paths.length === 0 ? null : `/${paths.toSorted().join(SEPARATOR)}`;
}

function encodedLength(path: string): number {
  return new URLSearchParams({ "": `${SEPARATOR}${path.slice(1)}` }).toString().length - 1;
}

/** Distance of two nodes in the tree. */
function distance(one: string, other: string): number {
  const [above, others] = [one, other].map((path) => [...ancestorsOf(path), path]);
  const shared = (above ?? []).filter((path) => others?.includes(path)).length;
  return (above?.length ?? 0) + (others?.length ?? 0) - 2 * shared;
}
