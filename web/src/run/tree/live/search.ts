/** Finds commands by state anywhere in a pipeline. */

import { api, type TreeQuery } from "@/api/client";
import type { Counts, NodeView, State, TreePage } from "@/api/schema";
import { treePages } from "@/api/stream";
import { ROOT } from "@/run/model/paths";

/** Maximum number of causes of a pipeline's failures. */
const MAX_CAUSES = 500;
/** Maximum number of pages; each covers a part of the tree. */
const MAX_PAGES = 3;

/** The matches on the first page that has any. */
export async function firstMatches(id: string, query: TreeQuery): Promise<NodeView[]> {
  let count = 0;
  for await (const { nodes } of treePages(id, query)) {
    count += 1;
    if (nodes.length > 0 || count === MAX_PAGES) return nodes;
  }
  return [];
}

/**
 * Find failed commands: the first `limit` of each state, in definition order. `counts` saves
 * requests for states without commands.
 */
export async function findFailures(
  id: string,
  root: string,
  limit: number,
  counts: Counts | null,
): Promise<NodeView[]> {
  const failed = ["error", "killed"] as const satisfies State[];
  const states = failed.filter((state) => counts === null || counts[state] > 0);
  const pages = await Promise.all(
    states.map((state) => api.tree(id, { root, state, limit, attempts: "newest" })),
  );
  return pages.flatMap(({ nodes }) => nodes).filter((view) => !view.skipped);
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

let newest: { key: string; causes: Promise<NodeView[]> } | null = null;

/**
 * The causes of a pipeline's failures as of change `seq`. The tree and the overview share one
 * request.
 */
export function causesAt(id: string, seq: number): Promise<NodeView[]> {
  const key = `${id} ${seq}`;
  if (newest?.key === key) return newest.causes;
  const causes = findCauses(id, ROOT, MAX_CAUSES);
  newest = { key, causes };
  causes.catch(() => {
    if (newest?.causes === causes) newest = null;
  });
  return causes;
}
