/** Rows for groups of nodes, showing how many commands ran over time. */

import { countBefore } from "@/lib/arrays";
import { type Bar, endOf, type Group, type Lane, type Range, type Steps } from "@/model/lanes";
import { depthOf, isWithin, ROOT } from "@/model/paths";
import { lanesByNode } from "@/model/timeline";

/** With more rows than this, groups are shown first. */
export const MAX_ROWS = 200;
/** Minimum duration of an attempt in seconds, so that short ones are counted. */
const MIN_DURATION = 0.001;

/** Merge nodes into groups at the deepest level that has at most `max` rows. */
export function groupedLanes(
  lanes: readonly Lane[],
  root: string,
  now: number,
  max = MAX_ROWS,
): Lane[] {
  const groups = atLevel(lanes, deepestLevel(lanes, root, max));
  return [...groups].map(([key, nodes]) => {
    const [only] = nodes;
    // A node at that level keeps its bars.
    if (only !== undefined && nodes.length === 1 && only.key === key) return only;
    return { key, label: key, bars: [], group: groupOf(nodes, now) };
  });
}

function deepestLevel(lanes: readonly Lane[], root: string, max: number): number {
  const top = depthOf(root);
  const bottom = lanes.reduce((deepest, lane) => Math.max(deepest, depthOf(lane.key)), top);
  let level = top;
  while (level < bottom && keysAt(lanes, level + 1) <= max) level += 1;
  return level;
}

function keysAt(lanes: readonly Lane[], level: number): number {
  return new Set(lanes.map((lane) => ancestorAt(lane.key, level))).size;
}

function atLevel(lanes: readonly Lane[], level: number): Map<string, Lane[]> {
  const groups = new Map<string, Lane[]>();
  for (const lane of lanes) {
    const key = ancestorAt(lane.key, level);
    const known = groups.get(key);
    if (known === undefined) groups.set(key, [lane]);
    else known.push(lane);
  }
  return groups;
}

/** The ancestor at a depth, or the node itself if it is not deeper. */
function ancestorAt(path: string, level: number): string {
  if (level === 0) return ROOT;
  let end = 0;
  for (let depth = 0; depth < level && end !== -1; depth += 1) end = path.indexOf("/", end + 1);
  return end === -1 ? path : path.slice(0, end);
}

function groupOf(nodes: readonly Lane[], now: number): Group {
  const bars = nodes.flatMap((lane) => lane.bars);
  const steps = stepsOf(bars, now);
  const failures = bars
    .filter((bar) => bar.state === "error" || bar.state === "killed")
    .map((bar) => endOf(bar, now));
  return {
    steps,
    peak: steps.counts.reduce((max, count) => Math.max(max, count), 0),
    nodes: nodes.length,
    attempts: bars.length,
    failures: failures.toSorted((a, b) => a - b),
  };
}

/** Count running bars over time. An end at the time of a start counts first. */
export function stepsOf(bars: readonly Bar[], now: number): Steps {
  const starts: number[] = [];
  const ends: number[] = [];
  for (const bar of bars) {
    if (bar.started === null) continue;
    starts.push(bar.started);
    ends.push(Math.max(endOf(bar, now), bar.started + MIN_DURATION));
  }
  const [from, to] = [Float64Array.from(starts).sort(), Float64Array.from(ends).sort()];
  const times: number[] = [];
  const counts: number[] = [];
  let [started, ended] = [0, 0];
  while (ended < to.length) {
    const time = Math.min(from[started] ?? Infinity, to[ended] ?? Infinity);
    while (to[ended] === time) ended += 1;
    while (from[started] === time) started += 1;
    times.push(time);
    counts.push(started - ended);
  }
  return { times, counts };
}

export function runningAt(steps: Steps, time: number): number {
  return steps.counts[stepAt(steps, time)] ?? 0;
}

/** Maximum number running in each of `width` equal parts of a view. */
export function columnsOf(steps: Steps, view: Range, width: number): number[] {
  const columns = new Array<number>(width).fill(0);
  const scale = width / (view.to - view.from);
  const { times, counts } = steps;
  for (let at = Math.max(0, stepAt(steps, view.from)); at < times.length; at += 1) {
    const count = counts[at] ?? 0;
    const from = times[at] ?? Infinity;
    if (from > view.to) break;
    const first = Math.max(0, Math.floor((from - view.from) * scale));
    const end = ((times[at + 1] ?? from) - view.from) * scale;
    for (let x = first; x < width && (x < end || x === first); x += 1) {
      columns[x] = Math.max(columns[x] ?? 0, count);
    }
  }
  return columns;
}

/** Index of the step at a time; -1 before the first. */
function stepAt({ times }: Steps, time: number): number {
  return countBefore(times, (one) => one <= time) - 1;
}

/** Rows by node, or by group if there are many nodes and `rows` does not choose. */
export function rowsByNode(
  bars: Iterable<Bar>,
  root: string,
  now: number,
  rows: string | null,
): { lanes: Lane[]; grouped: boolean | null } {
  const nodes = lanesByNode(bars);
  if (nodes.length <= MAX_ROWS) return { lanes: nodes, grouped: null };
  if (rows === "all") return { lanes: nodes, grouped: false };
  const groups = groupedLanes(nodes, root, now);
  // With a single group, show its nodes.
  const grouped = rows === "groups" || groups.length > 1;
  return { lanes: grouped ? groups : nodes, grouped };
}

export function barsWithin(chain: Iterable<Bar>, root: string): Bar[] {
  return [...chain].filter((bar) => isWithin(bar.path, root));
}
