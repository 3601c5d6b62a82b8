/** Groups similar failures. */

import type { NodeView } from "@/api/schema";
import { plainText } from "@/lib/ansi";
import { failureText, stateLabel, timeoutText } from "@/model/states";

export interface FailureGroup {
  reason: string;
  nodes: NodeView[];
}

/** Words with digits, such as container names and addresses. */
const VARYING = /(?<![\w-])(?=[\w-]*\d)[\w-]{6,}/g;

const NUMBERS = /0x[0-9a-f]+|\d+(?:\.\d+)?/gi;
/** Maximum length of a reason, and number of output lines shown. */
const MAX_LENGTH = 200;
const TAIL_LINES = 8;

/** Group failed nodes by reason, most common first. */
export function groupFailures(nodes: readonly NodeView[]): FailureGroup[] {
  const groups = new Map<string, FailureGroup>();
  for (const node of nodes) {
    const cause = causeText(node);
    const message = messageOf(node);
    const kind = `${cause}: ${message.replaceAll(VARYING, "…").replaceAll(NUMBERS, "…")}`;
    const reason = message === "" ? cause : `${cause}: ${message}`;
    const group = groups.get(kind);
    if (group === undefined) groups.set(kind, { reason, nodes: [node] });
    else group.nodes.push(node);
  }
  return [...groups.values()].toSorted((one, other) => other.nodes.length - one.nodes.length);
}

function causeText(node: NodeView): string {
  if (node.counts !== null) return timeoutText(node.max_time, node.counts);
  return failureText(node.cause, node.attempts.at(-1)?.exit_code ?? null) ?? stateLabel(node.state);
}

/** The error message, otherwise the last line of output. */
function messageOf(node: NodeView): string {
  const message = node.attempts.at(-1)?.message?.trim().split("\n").at(-1);
  return message ?? (lastLines(node).at(-1) ?? "").trim().slice(0, MAX_LENGTH);
}

/** The last lines of output, without control sequences. */
export function lastLines(node: NodeView): string[] {
  const tail = node.tail?.trimEnd() ?? "";
  return tail === "" ? [] : tail.split("\n").slice(-TAIL_LINES).map(plainText);
}
