/**
 * Groups similar failures.
 *
 * Failures belong together if their messages have the same text apart from numbers and words with
 * digits. A value that tells the kind of failure (`got 502`, `status 404`) separates groups; any
 * other value that varies within a group is shown as an ellipsis.
 */

import type { NodeView } from "@/api/schema";
import { plainText } from "@/lib/ansi";
import { failureText, stateLabel, timeoutText } from "@/run/model/states";

export interface FailureGroup {
  /** `AssertionError: expected …, got 502`. */
  reason: string;
  nodes: NodeView[];
}

/** Words with digits, such as container names and addresses, and numbers. */
const VALUES = /(?<![\w-])(?=[\w-]*\d)[\w-]{6,}|0x[0-9a-f]+|\d+(?:\.\d+)?/gi;
/** Text before a value that tells the kind of failure. */
const KIND =
  /\b(?:got|was|were|is|status|code|returned|received|actual|errno|signal|exit|http|but|error)\W{1,3}$/i;
/** Status codes tell the kind even if every message has another one. */
const STATUS = /^[1-5]\d\d$/;

/** Lines that name an error, best first. */
const ERROR_LINES = [
  /^(?:E\s+)?(?:[\w.]+\.)?\w*(?:Error|Exception|Failure|Interrupt)\b/,
  /\b(?:error|fatal|panic|failed|failure|exception)\b/i,
];
/** The mark of pytest before an error. */
const MARK = /^E\s+/;
/** Maximum length of a reason. */
const MAX_LENGTH = 200;
/** Number of lines shown before and after the line with the error. */
const LINES_BEFORE = 4;
const LINES_AFTER = 3;

interface Message {
  node: NodeView;
  /** The text between the values, and the values. */
  parts: readonly string[];
  values: readonly string[];
}

/** Group failed nodes by reason, most common first. */
export function groupFailures(nodes: readonly NodeView[]): FailureGroup[] {
  const alike = groupBy(nodes.map(messageFor), ({ node, parts }) =>
    JSON.stringify([causeText(node), parts]),
  );
  const groups = alike.flatMap((messages) => {
    const kinds = kindsOf(messages);
    return groupBy(messages, ({ values }) => JSON.stringify(kinds.map((at) => values[at])));
  });
  return groups
    .map((messages) => ({ reason: reasonOf(messages), nodes: messages.map(({ node }) => node) }))
    .toSorted((one, other) => other.nodes.length - one.nodes.length);
}

/** The reason of one failure. */
export function failureReason(node: NodeView): string {
  return reasonOf([messageFor(node)]);
}

function messageFor(node: NodeView): Message {
  const text = messageOf(node);
  const parts: string[] = [];
  const values: string[] = [];
  let from = 0;
  for (const { 0: value, index } of text.matchAll(VALUES)) {
    parts.push(text.slice(from, index));
    values.push(value);
    from = index + value.length;
  }
  return { node, parts: [...parts, text.slice(from)], values };
}

/** The positions of the values that tell the kind of failure. */
function kindsOf(messages: readonly Message[]): number[] {
  const [first] = messages;
  if (first === undefined) return [];
  const { parts, values } = first;
  return [...values.keys()].filter((at) => {
    const found = messages.map((one) => one.values[at] ?? "");
    const distinct = new Set(found);
    const repeat = distinct.size <= messages.length / 2 || found.every((one) => STATUS.test(one));
    return distinct.size > 1 && repeat && KIND.test(parts.slice(0, at + 1).join("…"));
  });
}

function reasonOf(messages: readonly Message[]): string {
  const [first] = messages;
  if (first === undefined) return "";
  const shown = first.values.map((value, at) =>
    messages.every((one) => one.values[at] === value) ? value : "…",
  );
  const text = first.parts.map((part, at) => part + (shown[at] ?? "")).join("");
  const cause = causeText(first.node);
  if (text === "") return cause;
  // The message of a command says more than its exit code, and that of a rejection repeats it.
  const isWhole = first.node.cause === "exit_code" || first.node.cause === "rejected";
  return isWhole ? text : `${cause}: ${text}`;
}

function causeText(node: NodeView): string {
  if (node.counts !== null) return timeoutText(node.max_time, node.counts);
  return failureText(node.cause, node.attempts.at(-1)?.exit_code ?? null) ?? stateLabel(node.state);
}

/** The error message, otherwise the line of the output that names the error, or the last one. */
function messageOf(node: NodeView): string {
  const message = node.attempts.at(-1)?.message?.trim().split("\n").at(-1);
  const lines = outputLines(node);
  return (message ?? lines[errorLine(lines)] ?? "").trim().replace(MARK, "").slice(0, MAX_LENGTH);
}

function outputLines(node: NodeView): string[] {
  const tail = node.tail?.trimEnd() ?? "";
  return tail === "" ? [] : tail.split("\n").map(plainText);
}

/** The index of the line that names the error. */
function errorLine(lines: readonly string[]): number {
  for (const pattern of ERROR_LINES) {
    const found = lines.findLastIndex((line) => pattern.test(line.trim()));
    if (found >= 0) return found;
  }
  return lines.length - 1;
}

/** The lines of the output that matter, and which of them names the error. */
export function relevantLines(node: NodeView): { lines: string[]; error: number } {
  const lines = outputLines(node);
  const error = errorLine(lines);
  const from = Math.max(
    0,
    Math.min(error - LINES_BEFORE, lines.length - 1 - LINES_BEFORE - LINES_AFTER),
  );
  return {
    lines: lines.slice(from, Math.max(error, from + LINES_BEFORE) + LINES_AFTER + 1),
    error: error - from,
  };
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): T[][] {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return [...groups.values()];
}
