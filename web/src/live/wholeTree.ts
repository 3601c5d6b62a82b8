/** Fetches every node of a pipeline, page by page. */

import { api, type TreeQuery } from "@/api/client";
import type { NodeView } from "@/api/schema";

const PAGE = 5000;

export interface WholeTree {
  nodes: NodeView[];
  /** Newest change in the first page; later pages may be newer. */
  seq: number;
}

export async function fetchWholeTree(
  id: string,
  attempts: NonNullable<TreeQuery["attempts"]>,
  signal?: AbortSignal,
): Promise<WholeTree> {
  const nodes: NodeView[] = [];
  let seq: number | null = null;
  let after: string | null = null;
  do {
    const query: TreeQuery = { attempts, limit: PAGE, ...(after === null ? {} : { after }) };
    const page = await api.tree(id, query, signal);
    seq ??= page.seq;
    for (const node of page.nodes) nodes.push(node);
    after = page.next;
  } while (after !== null);
  return { nodes, seq };
}
