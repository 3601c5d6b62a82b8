/** Every node of a pipeline, page by page: for what looks at all of them at once. */

import { api, type TreeQuery } from "@/api/client";
import type { NodeView } from "@/api/schema";

const PAGE = 5000;

export interface WholeTree {
  nodes: NodeView[];
  /** The newest change that the first page holds; later pages may hold later ones. */
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
