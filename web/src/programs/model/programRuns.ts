/** The history of a program: pass rate, times, and the axis of its chart. */

import type { PipelineSummary } from "@/api/schema";
import { dollars } from "@/lib/money";
import { duration } from "@/lib/time";
import { activeTime } from "@/run/model/activity";
import { isFailed } from "@/run/model/states";

export interface Totals {
  finished: number;
  passed: number;
  /** Seconds of the pipelines that passed; null without any. */
  median: number | null;
  p95: number | null;
}

export function totalsOf(pipelines: readonly PipelineSummary[]): Totals {
  const finished = pipelines.filter(
    ({ settled, state }) => settled && (state === "done" || isFailed(state)),
  );
  const passed = finished.filter(({ state }) => state === "done");
  const times = passed
    .flatMap((one) => activeTime(one, one.ended ?? 0) ?? [])
    .toSorted((a, b) => a - b);
  return {
    finished: finished.length,
    passed: passed.length,
    median: quantile(times, 0.5),
    p95: quantile(times, 0.95),
  };
}

export interface Streak {
  failing: boolean;
  /** Finished pipelines with this outcome in a row, up to the newest one. */
  length: number;
  /** The first of them. */
  first: PipelineSummary;
  /** Some earlier pipeline had the other outcome. */
  changed: boolean;
}

/** The outcome of the newest finished pipelines in a row; null without any. */
export function streakOf(pipelines: readonly PipelineSummary[]): Streak | null {
  const finished = pipelines.filter(
    ({ settled, state }) => settled && (state === "done" || isFailed(state)),
  );
  const failing = finished[0] !== undefined && isFailed(finished[0].state);
  const end = finished.findIndex(({ state }) => isFailed(state) !== failing);
  const length = end < 0 ? finished.length : end;
  const first = finished[length - 1];
  return first === undefined ? null : { failing, length, first, changed: end >= 0 };
}

/** The value at a share of a sorted list. */
export function quantile(sorted: readonly number[], share: number): number | null {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? null;
}

/** What the bars of a chart measure. */
export interface Unit {
  /** The values at the lines of the axis, from 0 to at least the largest. */
  axis: (largest: number) => number[];
  text: (value: number) => string;
}

export const SECONDS: Unit = { axis: axisOf, text: duration };
export const DOLLARS: Unit = {
  axis: (largest) => lines(largest, decimalStep(largest)),
  text: dollars,
};

/** 1, 2 or 5, times a power of ten. */
function decimalStep(largest: number): number {
  const least = Math.max(largest, 0.0004) / MAX_STEPS;
  const power = 10 ** Math.floor(Math.log10(least));
  return power * ([1, 2, 5, 10].find((one) => one * power >= least * 0.999_999) ?? 10);
}

/** Steps of the axis in seconds. */
const STEPS = [
  0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400,
  21_600, 43_200, 86_400,
];
const MAX_STEPS = 4;

/** The times at the lines of the axis, from 0 to at least `longest`. */
export function axisOf(longest: number): number[] {
  const fits = (step: number) => longest <= step * MAX_STEPS;
  const step = STEPS.find(fits) ?? Math.ceil(longest / MAX_STEPS / 86_400) * 86_400;
  return lines(longest, step);
}

function lines(largest: number, step: number): number[] {
  const count = Math.max(1, Math.ceil(largest / step - 1e-6));
  return Array.from({ length: count + 1 }, (_, index) => index * step);
}

/** Pass rate of a number of pipelines and of as many before them, in percent; null without any. */
export function passRates(
  pipelines: readonly PipelineSummary[],
  count: number,
): { rate: number | null; before: number | null } {
  const rateOf = (part: readonly PipelineSummary[]) => {
    const { finished, passed } = totalsOf(part);
    return finished === 0 ? null : Math.floor((passed / finished) * 100); // 100 only if all passed
  };
  return {
    rate: rateOf(pipelines.slice(0, count)),
    before: rateOf(pipelines.slice(count, 2 * count)),
  };
}

/**
 * The pipelines that are compared at first: the newest finished one with the one before it, or, if
 * it failed, with the last one that passed.
 */
export function defaultPair(
  pipelines: readonly PipelineSummary[],
): { before: string; after: string } | null {
  const started = pipelines.filter(({ started }) => started !== null);
  const after = started.find(({ settled }) => settled) ?? started[0];
  if (after === undefined) return null;
  const earlier = started.slice(started.indexOf(after) + 1);
  const passed = earlier.find(({ state, settled }) => settled && state === "done");
  const before = after.state === "done" ? earlier[0] : (passed ?? earlier[0]);
  return before === undefined ? null : { before: before.pipeline.id, after: after.pipeline.id };
}
