/** A selection from one row to another, whatever the page has loaded of what lies between. */

import { api } from "@/api/client";
import type { PipelineSession } from "@/live/session";
import { filled, rangeOf, type Gap } from "@/model/range";

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

/** Paths of the children of a gap's group, from the first that is not loaded to its end. */
async function childrenOf(session: PipelineSession, { group, end }: Gap): Promise<string[]> {
  const found: string[] = [];
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
    const last = children.findIndex((view) => view.path === end);
    const wanted = last < 0 ? children : children.slice(0, last + 1);
    // What is skipped is known from here on: an order to unskip, and an undo, ask for it.
    session.model?.addFound(
      wanted.filter((view) => view.skipped),
      page.seq,
    );
    for (const view of wanted) found.push(view.path);
    if (lettersOf(found) > MOST_LETTERS) throw new TooManyError();
    after = last < 0 ? page.next : null;
  } while (after !== null);
  return found;
}

function lettersOf(paths: readonly string[]): number {
  return paths.reduce((sum, path) => sum + path.length + AROUND, 0);
}
