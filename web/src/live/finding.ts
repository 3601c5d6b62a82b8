/** Execs in a state, wherever they are in a pipeline. */

import { api, type TreeQuery } from "@/api/client";
import type { Counts, NodeView, State, TreePage } from "@/api/schema";

/** Pages of a search for what runs: the counts say that there is some. */
const SEARCHED = 3;

/** What a search finds on the first page that has anything; a page looks at a part of a tree. */
export async function findSome(id: string, query: TreeQuery): Promise<NodeView[]> {
  let after: string | null = null;
  for (let page = 0; page < SEARCHED; page += 1) {
    const { nodes, next }: TreePage = await api.tree(id, {
      ...query,
      ...(after === null ? {} : { after }),
    });
    if (nodes.length > 0 || next === null) return nodes;
    after = next;
  }
  return [];
}

/**
 * Every failed Exec, the first `limit` of each state, in definition order within a state.
 * `counts`, where they are known, spare asking for a state that no Exec is in. With `tails`, the
 * first hundred of each state tell the end of what they printed.
 */
export async function findFailures(
  id: string,
  root: string,
  limit: number,
  counts: Counts | null = null,
  tails = false,
): Promise<NodeView[]> {
  const failed = ["error", "killed"] as const satisfies State[];
  const states = failed.filter((state) => counts === null || counts[state] > 0);
  const found = await Promise.all(
    states.map((state) => findInState(id, { root, state, limit, attempts: "newest", tails })),
  );
  return found.flat().filter((view) => !view.skipped);
}

/**
 * What failed by itself, in definition order: Execs, and groups whose time ran out in place of the
 * Execs that this ended. The first `limit`; the first hundred tell the end of what they printed.
 */
export async function findCauses(id: string, root: string, limit: number): Promise<NodeView[]> {
  const found: NodeView[] = [];
  let after: string | null = null;
  do {
    const page: TreePage = await api.tree(id, {
      root,
      failed: true,
      limit: limit - found.length,
      attempts: "newest",
      tails: after === null,
      ...(after === null ? {} : { after }),
    });
    found.push(...page.nodes);
    after = page.next;
  } while (after !== null && found.length < limit);
  return found;
}

async function findInState(id: string, query: TreeQuery & { limit: number }): Promise<NodeView[]> {
  const { nodes, next } = await api.tree(id, query);
  const missing = query.limit - nodes.length;
  if (!query.tails || next === null || missing <= 0) return nodes;
  const more = await api.tree(id, { ...query, after: next, limit: missing, tails: false });
  return [...nodes, ...more.nodes];
}
