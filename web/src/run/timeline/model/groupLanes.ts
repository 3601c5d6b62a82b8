/** Totals of groups of nodes: how many commands ran over time. */

import { countBefore } from "@/lib/arrays";
import {
  type Bar,
  endOf,
  type Group,
  type Lane,
  type Range,
  type Steps,
} from "@/run/timeline/model/lanes";
import { isWithin } from "@/run/model/paths";

/** Minimum duration of an attempt in seconds, so that short ones are counted. */
const MIN_DURATION = 0.001;

/** Totals of the nodes below a group. */
export function groupOf(nodes: readonly Lane[], now: number): Group {
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

export function barsWithin(chain: Iterable<Bar>, root: string): Bar[] {
  return [...chain].filter((bar) => isWithin(bar.path, root));
}
