/** Rows of groups, where a row for each node would be too many: how many ran at a time. */

import { type Bar, endOf, type Group, type Lane, type Range, type Steps } from "@/model/lanes";
import { depthOf, isWithin, ROOT } from "@/model/paths";
import { lanesByNode } from "@/model/timeline";

/** Of more rows than these, groups are shown first. */
export const MOST_ROWS = 200;
/** What began and ended in the same moment ran for this long, in seconds. */
const MOMENT = 0.001;

/** Rows of nodes put together: those of the deepest level that makes no more than `most`. */
export function groupedLanes(
  lanes: readonly Lane[],
  root: string,
  now: number,
  most = MOST_ROWS,
): Lane[] {
  const groups = atLevel(lanes, deepestLevel(lanes, root, most));
  return [...groups].map(([key, nodes]) => {
    const [only] = nodes;
    // A node of its own, beside groups of that level, keeps its bars.
    if (only !== undefined && nodes.length === 1 && only.key === key) return only;
    return { key, label: key, bars: [], group: groupOf(nodes, now) };
  });
}

function deepestLevel(lanes: readonly Lane[], root: string, most: number): number {
  const top = depthOf(root);
  const bottom = lanes.reduce((deepest, lane) => Math.max(deepest, depthOf(lane.key)), top);
  let level = top;
  while (level < bottom && keysAt(lanes, level + 1) <= most) level += 1;
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

/** The group above a node that is `level` groups down; the node itself where it is not deeper. */
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
    peak: steps.counts.reduce((most, count) => Math.max(most, count), 0),
    nodes: nodes.length,
    attempts: bars.length,
    failures: failures.toSorted((a, b) => a - b),
  };
}

/** How many of the bars ran at each time. What ends when another starts makes room for it. */
export function stepsOf(bars: readonly Bar[], now: number): Steps {
  const starts: number[] = [];
  const ends: number[] = [];
  for (const bar of bars) {
    if (bar.started === null) continue;
    starts.push(bar.started);
    ends.push(Math.max(endOf(bar, now), bar.started + MOMENT));
  }
  const [from, to] = [Float64Array.from(starts).sort(), Float64Array.from(ends).sort()];
  const times: number[] = [];
  const counts: number[] = [];
  let [begun, ended] = [0, 0];
  while (ended < to.length) {
    const time = Math.min(from[begun] ?? Infinity, to[ended] ?? Infinity);
    while (to[ended] === time) ended += 1;
    while (from[begun] === time) begun += 1;
    times.push(time);
    counts.push(begun - ended);
  }
  return { times, counts };
}

/** How many ran at a time. */
export function runningAt(steps: Steps, time: number): number {
  return steps.counts[stepAt(steps, time)] ?? 0;
}

/** The most that ran within each of `width` equal parts of a view. */
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

/** Index of the step that a time lies in; -1 before the first. */
function stepAt({ times }: Steps, time: number): number {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] ?? Infinity) <= time) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** The rows by node: those of groups where nodes are many, unless all are asked for. */
export function rowsByNode(
  bars: Iterable<Bar>,
  root: string,
  now: number,
  rows: string | null,
): { lanes: Lane[]; grouped: boolean | null } {
  const nodes = lanesByNode(bars);
  if (nodes.length <= MOST_ROWS) return { lanes: nodes, grouped: null };
  if (rows === "all") return { lanes: nodes, grouped: false };
  const groups = groupedLanes(nodes, root, now);
  // One row for everything leaves nothing to choose from.
  const grouped = rows === "groups" || groups.length > 1;
  return { lanes: grouped ? groups : nodes, grouped };
}

/** The bars of a chain that lie below a group. */
export function barsWithin(chain: Iterable<Bar>, root: string): Bar[] {
  return [...chain].filter((bar) => isWithin(bar.path, root));
}
