/** Failures that are alike, told once. */

import type { NodeView } from "@/api/schema";
import { failureText } from "@/model/states";

export interface FailureGroup {
  reason: string;
  nodes: NodeView[];
}

/** Names of containers, addresses and the like: words with digits that differ where all else is alike. */
const VARYING = /(?<![\w-])(?=[\w-]*\d)[\w-]{6,}/g;

/** Failed nodes by what went wrong, the most common first. */
export function groupFailures(nodes: readonly NodeView[]): FailureGroup[] {
  const groups = new Map<string, NodeView[]>();
  for (const node of nodes) {
    const kind = reasonOf(node).replaceAll(VARYING, "…");
    const group = groups.get(kind);
    if (group === undefined) groups.set(kind, [node]);
    else group.push(node);
  }
  return [...groups.values()]
    .map((alike) => ({ reason: alike[0] === undefined ? "" : reasonOf(alike[0]), nodes: alike }))
    .toSorted((one, other) => other.nodes.length - one.nodes.length);
}

function reasonOf(node: NodeView): string {
  const last = node.attempts.at(-1);
  const words = failureText(node.cause, last?.exit_code ?? null) ?? node.state;
  const message = last?.message?.trim().split("\n").at(-1);
  return message === undefined ? words : `${words}: ${message}`;
}
