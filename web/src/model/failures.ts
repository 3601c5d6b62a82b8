/** Failures that are alike, told once. */

import type { NodeView } from "@/api/schema";
import { plainText } from "@/lib/ansi";
import { failureText, timeoutText } from "@/model/states";

export interface FailureGroup {
  reason: string;
  nodes: NodeView[];
}

/** Names of containers, addresses and the like: words with digits that differ where all else is alike. */
const VARYING = /(?<![\w-])(?=[\w-]*\d)[\w-]{6,}/g;

const NUMBERS = /0x[0-9a-f]+|\d+(?:\.\d+)?/gi;
/** Letters of a last line that are told, and lines that are shown of what was printed last. */
const LONGEST = 200;
const LINES = 8;

/** Failed nodes by what went wrong, the most common first. */
export function groupFailures(nodes: readonly NodeView[]): FailureGroup[] {
  const groups = new Map<string, FailureGroup>();
  for (const node of nodes) {
    const words = endingOf(node);
    const message = messageOf(node);
    const kind = `${words}: ${message.replaceAll(VARYING, "…").replaceAll(NUMBERS, "…")}`;
    const reason = message === "" ? words : `${words}: ${message}`;
    const group = groups.get(kind);
    if (group === undefined) groups.set(kind, { reason, nodes: [node] });
    else group.nodes.push(node);
  }
  return [...groups.values()].toSorted((one, other) => other.nodes.length - one.nodes.length);
}

function endingOf(node: NodeView): string {
  if (node.counts !== null) return timeoutText(node.max_time, node.counts);
  return failureText(node.cause, node.attempts.at(-1)?.exit_code ?? null) ?? node.state;
}

/** What the runner says of a failure, else what the command said last, as far as that is known. */
function messageOf(node: NodeView): string {
  const message = node.attempts.at(-1)?.message?.trim().split("\n").at(-1);
  return message ?? (lastLines(node).at(-1) ?? "").trim().slice(0, LONGEST);
}

/** The last lines that a failed node printed, without colours. */
export function lastLines(node: NodeView): string[] {
  const tail = node.tail?.trimEnd() ?? "";
  return tail === "" ? [] : tail.split("\n").slice(-LINES).map(plainText);
}
