/** Fetches every node of a pipeline, page by page. */

import type { TreeQuery } from "@/api/client";
import type { NodeView } from "@/api/schema";
import { treePages } from "@/api/stream";

const PAGE_SIZE = 5000;

export async function fetchWholeTree(
  id: string,
  attempts: NonNullable<TreeQuery["attempts"]>,
  signal?: AbortSignal,
): Promise<NodeView[]> {
  const nodes: NodeView[] = [];
  for await (const page of treePages(id, { attempts, limit: PAGE_SIZE }, signal)) {
    nodes.push(...page.nodes);
  }
  return nodes;
}
