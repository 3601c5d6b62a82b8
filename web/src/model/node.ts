/** One node of a pipeline, as far as the reader has seen it. */

import type { Cause, Counts, NodeChange, NodeType, NodeView, State } from "@/api/schema";
import { depthOf, nameOf } from "@/model/paths";
import { isFinished } from "@/model/states";

/**
 * Children of a group as they become known: a stretch from the first child on, in definition
 * order, and some beyond it that a search, a link or an error led to.
 */
export interface Children {
  first: TreeNode[];
  beyond: TreeNode[];
  /** Cursor to read on from; null when `first` holds all. */
  next: string | null;
  loaded: boolean;
}

export interface TreeNode {
  readonly path: string;
  readonly name: string;
  readonly depth: number;
  type: NodeType;
  state: State;
  skipped: boolean;
  cause: Cause | null;
  warning: boolean;
  attempt: number;
  exitCode: number | null;
  /** Seconds since the epoch. */
  started: number | null;
  ended: number | null;
  command: string | null;
  hasDoc: boolean;
  reuse: NodeView["reuse"];
  /** Its time limit in seconds; null where none is known. */
  maxTime: number | null;
  waitsFor: string | null;
  /** How many nodes stand directly below it. */
  childCount: number;
  /** Execs below by state; null for an Exec, and for a group of which only a child is known. */
  counts: Counts | null;
  /** The newest change of the pipeline that is in here; older ones are not taken in again. */
  seq: number;
  /** Moves with every change of what is told here of the node itself, which changes in place. */
  revision: number;
  children: Children;
}

export function newNode(path: string, type: NodeType): TreeNode {
  return {
    path,
    name: nameOf(path),
    depth: depthOf(path),
    type,
    state: "pending",
    skipped: false,
    cause: null,
    warning: false,
    attempt: 0,
    exitCode: null,
    started: null,
    ended: null,
    command: null,
    hasDoc: false,
    reuse: null,
    maxTime: null,
    waitsFor: null,
    childCount: 0,
    counts: null,
    seq: -1,
    revision: 0,
    children: { first: [], beyond: [], next: null, loaded: false },
  };
}

/** Take in a node as the API lists it, as of change `seq`. */
export function takeView(node: TreeNode, view: NodeView, seq: number): void {
  node.revision += 1;
  node.type = view.type;
  node.command = view.command;
  node.hasDoc = view.doc !== null;
  node.reuse = view.reuse;
  node.maxTime = view.max_time;
  if (seq < node.seq) return;
  node.state = view.state;
  node.skipped = view.skipped;
  node.cause = view.cause;
  node.warning = view.warning;
  node.waitsFor = view.waits_for;
  node.childCount = view.children;
  node.counts = view.counts;
  const last = view.attempts.at(-1);
  // What is queued again has no record of its next attempt yet; events of it say its number.
  const again = view.state === "queued" && last !== undefined && last.ended !== null;
  node.attempt = (last?.number ?? 0) + (again ? 1 : 0);
  node.exitCode = last?.exit_code ?? null;
  node.started = again ? null : (last?.started ?? view.started);
  node.ended = again ? null : (last?.ended ?? view.ended);
  node.seq = seq;
}

/** Take in a transition. Returns whether it was news. */
export function takeChange(node: TreeNode, change: NodeChange): boolean {
  if (change.seq <= node.seq) return false;
  node.revision += 1;
  stampTimes(node, change);
  node.type = change.type;
  node.state = change.state;
  node.skipped = change.skipped;
  node.cause = change.cause;
  node.warning = change.warning;
  node.attempt = change.attempt;
  node.exitCode = change.exit_code;
  node.waitsFor = null;
  node.seq = change.seq;
  return true;
}

/** Take in how the Execs below a group stand. */
export function takeCounts(node: TreeNode, counts: Counts): void {
  node.revision += 1;
  node.counts = counts;
}

function stampTimes(node: TreeNode, change: NodeChange): void {
  if (isFinished(change.state)) {
    if (node.state !== change.state || node.ended === null) node.ended = change.time;
    return;
  }
  node.ended = null;
  if (change.state === "running") {
    const goesOn = node.type !== "Exec" && node.started !== null;
    if (!goesOn && node.state !== "running") node.started = change.time;
  } else if (change.type === "Exec") {
    node.started = null;
  }
}
