/** A selection from one row to another, whatever the page has loaded of what lies between. */

import { api } from "@/api/client";
import type { PipelineSession } from "@/live/session";
import { filled, type Gap, rangeOf, withinGap } from "@/model/range";

/** Children that are listed at once. */
const PAGE = 5000;
/** What an order may name, in letters: the server takes a megabyte. */
const MOST_LETTERS = 900_000;
/** Quotes and a comma. */
const AROUND = 3;

/** More is selected than one order can name. */
export class TooManyError extends Error {
  constructor() {
    super("That is more than one order can name: select the group, or less of it");
    this.name = "TooManyError";
  }
}

/**
 * The paths from one row to another, both included.
 *
 * @throws {TooManyError} when one order could not name them.
 */
export async function pathsBetween(
  session: PipelineSession,
  one: string,
  other: string,
): Promise<string[]> {
  const range = rangeOf(session.rows(), one, other);
  let { paths } = range;
  for (const gap of range.gaps) {
    const { front } = session.order.of(gap.group); // as it is shown when the reader clicks
    paths = filled(paths, gap, front, await childrenOf(session, gap));
  }
  if (lettersOf(paths) > MOST_LETTERS) throw new TooManyError();
  return paths;
}

/** Paths of the children of a gap's group that are not loaded in a row and lie in the gap. */
async function childrenOf(session: PipelineSession, gap: Gap): Promise<string[]> {
  const { group } = gap;
  const found: string[] = [];
  let started = gap.begin === null;
  let after = group.children.next;
  do {
    const page = await api.tree(session.id, {
      root: group.path,
      depth: 1,
      limit: PAGE,
      attempts: "none",
      ...(after === null ? {} : { after }),
    });
    const children = page.nodes.filter((view) => view.path !== group.path);
    const { inside, over } = withinGap(gap, children, started);
    started ||= inside.length > 0;
    // What is skipped is known from here on: an order to unskip, and an undo, ask for it.
    session.model?.addFound(
      inside.filter((view) => view.skipped),
      page.seq,
    );
    for (const view of inside) found.push(view.path);
    if (lettersOf(found) > MOST_LETTERS) throw new TooManyError();
    after = over ? null : page.next;
  } while (after !== null);
  return found;
}

function lettersOf(paths: readonly string[]): number {
  return paths.reduce((sum, path) => sum + path.length + AROUND, 0);
}
