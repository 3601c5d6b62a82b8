/** Selects a range of rows, including children that are not loaded. */

import { api } from "@/api/client";
import type { PipelineSession } from "@/live/session";
import { fillGap, type Gap, rangeOf, withinGap } from "@/model/range";

/** Children per request. */
const PAGE = 5000;
/** Size limit of an action's paths in characters; the server accepts 1 MB. */
const MAX_CHARACTERS = 900_000;
/** Two quotes and a comma. */
const PATH_OVERHEAD = 3;

export class SelectionTooLargeError extends Error {
  constructor() {
    super("Too many nodes selected for one action. Select their group, or fewer nodes.");
    this.name = "TooManyError";
  }
}

/**
 * The paths between two rows, inclusive.
 * @throws {SelectionTooLargeError} if one action cannot name them all.
 */
export async function pathsBetween(
  session: PipelineSession,
  one: string,
  other: string,
): Promise<string[]> {
  const range = rangeOf(session.rows(), one, other);
  let { paths } = range;
  for (const gap of range.gaps) {
    const { active } = session.order.childrenOf(gap.group); // the order at the time of the click
    paths = fillGap(paths, gap, active, await childrenOf(session, gap));
  }
  if (characterCount(paths) > MAX_CHARACTERS) throw new SelectionTooLargeError();
  return paths;
}

/** Paths of the children in a gap. */
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
    // Unskip and undo need to know which nodes are skipped.
    session.model?.addFound(
      inside.filter((view) => view.skipped),
      page.seq,
    );
    for (const view of inside) found.push(view.path);
    if (characterCount(found) > MAX_CHARACTERS) throw new SelectionTooLargeError();
    after = over ? null : page.next;
  } while (after !== null);
  return found;
}

function characterCount(paths: readonly string[]): number {
  return paths.reduce((sum, path) => sum + path.length + PATH_OVERHEAD, 0);
}
