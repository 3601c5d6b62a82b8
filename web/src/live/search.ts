/** Finds commands by state anywhere in a pipeline. */

import { api, type TreeQuery } from "@/api/client";
import type { Counts, NodeView, State, TreePage } from "@/api/schema";

/** Maximum number of pages; each covers a part of the tree. */
const MAX_PAGES = 3;

/** The matches on the first page that has any. */
export async function firstMatches(id: string, query: TreeQuery): Promise<NodeView[]> {
  let after: string | null = null;
  for (let page = 0; page < MAX_PAGES; page += 1) {
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
 * Find failed commands: the first `limit` of each state, in definition order. `counts` saves
 * requests for states without commands. With `tails`, the first hundred per state include the end
 * of their output.
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
 * Find the causes of failures in definition order: commands that failed by themselves, and groups
 * that timed out instead of the commands they killed. The first hundred include the end of their
 * output.
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
