/** Selects a range of rows, including children that are not loaded. */

import type { TreeQuery } from "@/api/client";
import type { PipelineSession } from "@/run/live/session";
import { treePages } from "@/api/stream";
import { fillGap, type Gap, rangeOf, withinGap } from "@/run/tree/model/range";

/** Children per request. */
const PAGE = 5000;
/** Size limit of an action's paths in characters; the server accepts 1 MB. */
const MAX_CHARACTERS = 900_000;
/** Two quotes and a comma. */
const PATH_OVERHEAD = 3;

function checkSize(paths: readonly string[]): void {
  const size = paths.reduce((sum, path) => sum + path.length + PATH_OVERHEAD, 0);
  if (size <= MAX_CHARACTERS) return;
  throw new Error("Too many nodes selected for one action. Select their group, or fewer nodes.");
}

/** The paths between two rows, inclusive. Throws if one action cannot name them all. */
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
  checkSize(paths);
  return paths;
}

/** Paths of the children in a gap. */
async function childrenOf(session: PipelineSession, gap: Gap): Promise<string[]> {
  const { group } = gap;
  const found: string[] = [];
  let started = gap.begin === null;
  const { next } = group.children;
  const query: TreeQuery = { root: group.path, depth: 1, limit: PAGE, attempts: "none" };
  for await (const page of treePages(
    session.id,
    next === null ? query : { ...query, after: next },
  )) {
    const children = page.nodes.filter((view) => view.path !== group.path);
    const { inside, over } = withinGap(gap, children, started);
    started ||= inside.length > 0;
    // Unskip and undo need to know which nodes are skipped.
    session.model?.addFound(
      inside.filter((view) => view.skipped),
      page.seq,
    );
    for (const view of inside) found.push(view.path);
    checkSize(found);
    if (over) break;
  }
  return found;
}
