/** The parts of a pipeline that have not started, and what they wait for. */

import type { NodeView } from "@/api/schema";
import { plural } from "@/lib/time";
import type { TreeNode } from "@/run/model/node";
import { isWithin, parentOf, ROOT } from "@/run/model/paths";
import { isFinished, total } from "@/run/model/states";

export interface WaitingGroup {
  path: string;
  /** Number of commands. */
  count: number;
  state: "approval" | "queued" | "pending";
  text: string;
  detail: string;
}

/**
 * Queued commands by reason: approvals, then most first. `all` is the number of queued commands: those that are not
 * listed have a row of their own, because they may wait for something else.
 */
export function queuedGroups(queued: readonly NodeView[], all: number): WaitingGroup[] {
  const groups = new Map<string, WaitingGroup>();
  for (const { path, waits_for: reason, wait_kind: kind } of queued) {
    const text = reason ?? "queued";
    const known = groups.get(text);
    const parent = kind === "approval" ? path : (parentOf(path) ?? ROOT);
    const place = known === undefined ? parent : commonAncestor(known.path, parent);
    const count = (known?.count ?? 0) + 1;
    const state = kind === "approval" ? kind : "queued";
    groups.set(text, { path: place, state, text, count, detail: "" });
  }
  const asks = ({ state }: WaitingGroup) => Number(state === "approval");
  const found = [...groups.values()].toSorted((a, b) => asks(b) - asks(a) || b.count - a.count);
  for (const group of found) group.detail = group.path === ROOT ? "" : group.path;
  const rest = all - queued.length;
  if (rest > 0 && found.length > 0) {
    found.push({
      path: ROOT,
      state: "queued",
      text: "more commands are queued",
      count: rest,
      detail: "",
    });
  }
  return found;
}

function commonAncestor(one: string, other: string): string {
  return isWithin(other, one) ? one : commonAncestor(parentOf(one) ?? ROOT, other);
}

/** The topmost pending nodes in a Serial, and the sibling that each of them follows. */
export function pendingGroups(nodes: Iterable<TreeNode>, max: number): WaitingGroup[] {
  const found: WaitingGroup[] = [];
  for (const parent of nodes) {
    if (parent.type !== "Serial" || isFinished(parent.state) || parent.state === "pending")
      continue;
    const siblings = parent.children.first;
    for (const [at, node] of siblings.entries()) {
      const before = siblings[at - 1];
      if (node.state !== "pending" || node.skipped || before === undefined) continue;
      if (found.length === max) return found;
      found.push({
        path: node.path,
        count: node.counts === null ? 1 : total(node.counts),
        state: "pending",
        text: `${node.name}: starts after ${before.name}`,
        detail: leftIn(before),
      });
    }
  }
  return found;
}

function leftIn({ counts, name }: TreeNode): string {
  if (counts === null) return "";
  const left = total(counts) - counts.done;
  return left === 0 ? "" : `${plural(left, "command")} in ${name} left`;
}
