/** Finds the time limit that stopped a command: its own or that of a group. */

import type { TreeNode } from "@/run/model/node";
import { ancestorsOf } from "@/run/model/paths";

/** The path of the group that timed out; null for any other end. */
export function stoppedBy(nodes: ReadonlyMap<string, TreeNode>, node: TreeNode): string | null {
  if (node.counts !== null || node.cause !== "timeout") return null;
  const expired = ancestorsOf(node.path)
    .map((path) => nodes.get(path))
    .findLast((above) => above?.cause === "timeout");
  return expired === undefined || ownLimitExpired(node, expired) ? null : expired.path;
}

/** Inherited limits, and longer ones of its own, expire after the group's. */
function ownLimitExpired({ maxTime, started, ended }: TreeNode, group: TreeNode): boolean {
  if (maxTime === null || started === null || ended === null) return false;
  const isShorter = group.maxTime === null || maxTime < group.maxTime;
  return isShorter && ended - started >= maxTime;
}
