/** Which time limit ended an Exec: its own, or that of a group above it. */

import type { TreeNode } from "@/model/node";
import { ancestorsOf } from "@/model/paths";

/** The path of the group whose time limit ended an Exec; null for any other end. */
export function stoppedBy(nodes: ReadonlyMap<string, TreeNode>, node: TreeNode): string | null {
  if (node.counts !== null || node.cause !== "timeout") return null;
  const expired = ancestorsOf(node.path)
    .map((path) => nodes.get(path))
    .findLast((above) => above?.cause === "timeout");
  return expired === undefined || hadItsTime(node, expired) ? null : expired.path;
}

/** A limit that the Exec inherits, or a longer one of its own, expires after the group's. */
function hadItsTime({ maxTime, started, ended }: TreeNode, group: TreeNode): boolean {
  if (maxTime === null || started === null || ended === null) return false;
  const isShorter = group.maxTime === null || maxTime < group.maxTime;
  return isShorter && ended - started >= maxTime;
}
