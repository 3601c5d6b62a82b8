/** Failures that are alike, told once. */

import type { NodeView } from "@/api/schema";
import { failureText } from "@/model/states";

export interface FailureGroup {
  reason: string;
  nodes: NodeView[];
}

/** Failed nodes by what went wrong, the most common first. */
export function groupFailures(nodes: readonly NodeView[]): FailureGroup[] {
  const groups = new Map<string, NodeView[]>();
  for (const node of nodes) {
    const reason = reasonOf(node);
    const group = groups.get(reason);
    if (group === undefined) groups.set(reason, [node]);
    else group.push(node);
  }
  return [...groups]
    .map(([reason, alike]) => ({ reason, nodes: alike }))
    .toSorted((one, other) => other.nodes.length - one.nodes.length);
}

function reasonOf(node: NodeView): string {
  const last = node.attempts.at(-1);
  const words = failureText(node.cause, last?.exit_code ?? null) ?? node.state;
  const message = last?.message?.trim().split("\n").at(-1);
  return message === undefined ? words : `${words}: ${message}`;
}
