/** A node as far as it is loaded. */

import type {
  Actor,
  Cause,
  Counts,
  GroupTime,
  NodeChange,
  NodeType,
  NodeView,
  State,
} from "@/api/schema";
import { elapsed } from "@/lib/time";
import { depthOf, nameOf } from "@/run/model/paths";
import { isFinished } from "@/run/model/states";

/**
 * Known children of a group: a range from the first child on, in definition order, and single nodes
 * beyond it from searches, links and failures.
 */
export interface Children {
  first: TreeNode[];
  beyond: TreeNode[];
  /** Cursor of the next page; null if `first` has all children. */
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
  /** Seconds between them in which the pipeline was not active. */
  idle: number;
  command: string | null;
  hasDoc: boolean;
  /** Who requested the newest action on it. */
  actor: Actor | null;
  reuse: NodeView["reuse"];
  /** The pipeline whose outcome the command has without running. */
  cached: string | null;
  /** Seconds that it ran there; null if they were not recorded. */
  saved: number | null;
  /** The command has a cache. */
  hasCache: boolean;
  /** Time limit in seconds; null if unknown. */
  maxTime: number | null;
  /** Its condition skipped it. */
  byCondition: boolean;
  waitsFor: string | null;
  waitKind: NodeView["wait_kind"];
  waitUntil: number | null;
  childCount: number;
  /** Commands below by state; null for an Exec, and for a group of which only the path is known. */
  counts: Counts | null;
  /** Newest change that is applied; older ones are ignored. */
  seq: number;
  /** Incremented on every change, because nodes are mutated in place. */
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
    idle: 0,
    command: null,
    hasDoc: false,
    actor: null,
    reuse: null,
    cached: null,
    saved: null,
    hasCache: false,
    maxTime: null,
    byCondition: false,
    waitsFor: null,
    waitUntil: null,
    waitKind: null,
    childCount: 0,
    counts: null,
    seq: -1,
    revision: 0,
    children: { first: [], beyond: [], next: null, loaded: false },
  };
}

/** Apply a node from the API, as of change `seq`. */
export function applyView(node: TreeNode, view: NodeView, seq: number): void {
  node.revision += 1;
  node.type = view.type;
  node.command = view.command;
  node.hasDoc = view.doc !== null;
  node.reuse = view.reuse;
  node.maxTime = view.max_time;
  if (seq < node.seq) return;
  node.actor = view.actor;
  node.state = view.state;
  node.skipped = view.skipped;
  node.byCondition = view.skip_reason !== null;
  node.cause = view.cause;
  node.warning = view.warning;
  node.waitsFor = view.waits_for;
  node.waitKind = view.wait_kind;
  node.waitUntil = view.wait_until;
  node.childCount = view.children;
  node.counts = view.counts;
  const last = view.attempts.at(-1);
  // A requeued node has no record of its next attempt yet.
  const requeued = view.state === "queued" && last !== undefined && last.ended !== null;
  node.attempt = (last?.number ?? 0) + (requeued ? 1 : 0);
  node.exitCode = last?.exit_code ?? null;
  node.cached = requeued ? null : (last?.from_cache?.pipeline ?? null);
  node.saved = last?.from_cache?.seconds ?? null;
  node.hasCache = last !== undefined && (last.from_cache ?? last.cache ?? last.not_stored) !== null;
  node.started = requeued ? null : (last?.started ?? view.started);
  node.ended = requeued ? null : (last?.ended ?? view.ended);
  node.idle = view.idle;
  node.seq = seq;
}

/** Apply a state change. Returns whether it is new. */
export function applyChange(node: TreeNode, change: NodeChange): boolean {
  if (change.seq <= node.seq) return false;
  node.revision += 1;
  stampTimes(node, change);
  node.type = change.type;
  node.state = change.state;
  node.skipped = change.skipped;
  node.cause = change.cause;
  node.warning = change.warning;
  // A skip or an edit of a finished command does not repeat its exit code.
  if (change.exit_code !== null || change.attempt !== node.attempt)
    node.exitCode = change.exit_code;
  if (change.attempt !== node.attempt || change.state !== "done") node.cached = null;
  node.attempt = change.attempt;
  node.byCondition &&= change.skipped;
  node.waitsFor = null;
  node.waitKind = null;
  node.waitUntil = null;
  node.seq = change.seq;
  return true;
}

export function applyCounts(node: TreeNode, counts: Counts): void {
  node.revision += 1;
  node.counts = counts;
}

/** Apply the time of a group from the server, which knows all attempts below it. */
export function applyTime(node: TreeNode, { started, ended, idle }: GroupTime): void {
  node.revision += 1;
  node.started = started;
  node.ended = ended;
  node.idle = idle;
}

/** Whether a change shows nothing new: the definition of the command was edited. */
export function isEdit(node: TreeNode, change: NodeChange): boolean {
  return (
    change.type === "Exec" &&
    change.seq > node.seq &&
    change.state === node.state &&
    change.skipped === node.skipped &&
    change.cause === node.cause &&
    change.warning === node.warning &&
    change.attempt === node.attempt
  );
}

/** Whether a command is done without having run: its outcome is from the cache. */
export function isFromCache(node: TreeNode, change: NodeChange): boolean {
  return (
    change.type === "Exec" &&
    change.state === "done" &&
    !isFinished(node.state) &&
    node.state !== "running"
  );
}

type Times = Pick<TreeNode, "started" | "ended" | "idle">;

/**
 * When a node ran, as the tree shows it; its view has the times that the tree does not have yet.
 * A group that only waits for a decision is running, and has an end.
 */
export function timesOf(live: TreeNode | undefined, view: NodeView): Times {
  const viewed = newNode(view.path, view.type);
  applyView(viewed, view, 0);
  if (live === undefined || live.seq < 0) return viewed;
  return { started: live.started ?? viewed.started, ended: live.ended, idle: live.idle };
}

/** Seconds that a node has run, without the time in which its pipeline was not active. */
export function timeOf({ started, ended, idle }: Times, now: number): number | null {
  const took = elapsed(started, ended, now);
  return took === null ? null : Math.max(0, took - idle);
}

function stampTimes(node: TreeNode, change: NodeChange): void {
  if (isFinished(change.state)) {
    if (node.state !== change.state || node.ended === null) node.ended = change.time;
    return;
  }
  node.ended = null;
  if (change.state === "running") {
    const continues = node.type !== "Exec" && node.started !== null;
    if (!continues && node.state !== "running") node.started = change.time;
  } else if (change.type === "Exec") {
    node.started = null;
  }
}
