/** The parts of a pipeline that have not started, and what they wait for. */

import type { NodeView } from "@/api/schema";
import { plural } from "@/lib/time";
import type { TreeNode } from "@/model/node";
import { nameOf, parentOf, ROOT } from "@/model/paths";
import { isFinished, total } from "@/model/states";

export interface WaitingGroup {
  path: string;
  /** Number of commands. */
  count: number;
  state: "queued" | "pending";
  text: string;
  detail: string;
}

/** Queued commands by parent and reason, most first. `all` is the number of queued commands. */
export function queuedGroups(queued: readonly NodeView[], all: number): WaitingGroup[] {
  const groups = new Map<string, WaitingGroup>();
  for (const { path, waits_for: reason, wait_kind: kind } of queued) {
    const parent = parentOf(path) ?? ROOT;
    const key = `${parent} ${reason ?? ""}`;
    const known = groups.get(key);
    const text = `${titleOf(parent)}: ${KINDS[kind ?? "unknown"]}`;
    const made = { path: parent, state: "queued", text, detail: reason ?? "" } as const;
    groups.set(key, { ...made, count: (known?.count ?? 0) + 1 });
  }
  const found = [...groups.values()].toSorted((a, b) => b.count - a.count);
  const [first] = found;
  // Of very many, only some are listed; most of the others wait for the same.
  if (first !== undefined) first.count += Math.max(0, all - queued.length);
  return found;
}

const KINDS: Record<NonNullable<NodeView["wait_kind"]>, string> = {
  image: "wait for their image",
  turn: "wait for a slot",
  limit: "wait for a limit",
  start: "wait for a container",
  approval: "wait for approval",
  unknown: "queued",
};

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

function titleOf(path: string): string {
  return path === ROOT ? "commands" : nameOf(path);
}
