/** The metrics of the pipelines of one program as charts. */

import type { ComparedMetric, MetricComparison } from "@/api/schema";
import { moment } from "@/lib/time";
import { type Domain, domainOf, number } from "@/results/model/metrics";

export interface ComparedRun {
  pipeline: string;
  created: number;
  metric: ComparedMetric;
  isCurrent: boolean;
}

export interface ComparisonChart {
  path: string;
  name: string;
  /** The oldest first; only pipelines that have the metric. */
  runs: readonly ComparedRun[];
  /** The same for all lines. */
  domain: Domain;
}

export interface Dot {
  pipeline: string;
  isCurrent: boolean;
  title: string;
  /** Percentages of the width and the height. */
  left: number;
  bottom: number;
}

/**
 * One chart for each metric that several pipelines have, in the order of the newest; with a current
 * pipeline, only metrics that it has.
 */
export function comparisonCharts(
  found: MetricComparison,
  current: string | null,
): ComparisonChart[] {
  const charts = new Map<string, ComparedRun[]>();
  for (const { id, created, metrics } of found.pipelines) {
    for (const metric of metrics) {
      const key = JSON.stringify([metric.path, metric.name]);
      const runs = charts.get(key) ?? [];
      runs.unshift({ pipeline: id, created, metric, isCurrent: id === current });
      charts.set(key, runs);
    }
  }
  return [...charts.values()]
    .filter((runs) => runs.length > 1 && (current === null || runs.at(-1)?.isCurrent))
    .map((runs) => ({
      path: runs[0]?.metric.path ?? "",
      name: runs[0]?.metric.name ?? "",
      runs,
      domain: domainOf(runs.map(({ metric }) => metric)),
    }));
}

/** `0.21, before 0.25 (-16%)`: the last value of the newest run and of the one before. */
export function changeText({ runs }: ComparisonChart): string {
  const value = runs.at(-1)?.metric.last ?? null;
  const before = runs.at(-2)?.metric.last ?? null;
  const text = value === null ? "null" : number(value);
  if (before === null) return `${text}, before null`;
  if (value === null || before === 0) return `${text}, before ${number(before)}`;
  const percent = Math.round((100 * (value - before)) / Math.abs(before));
  return `${text}, before ${number(before)} (${percent > 0 ? "+" : ""}${percent}%)`;
}

/** The last values, from the oldest pipeline to the newest. */
export function dotsOf({ runs }: ComparisonChart, now?: Date): Dot[] {
  const values = runs.flatMap(({ metric }) => (metric.last === null ? [] : [metric.last]));
  const low = Math.min(...values);
  const height = Math.max(...values) - low;
  return runs.flatMap(({ pipeline, created, metric, isCurrent }, index) => {
    if (metric.last === null) return [];
    return [
      {
        pipeline,
        isCurrent,
        title: `${number(metric.last)}, ${pipeline}, ${moment(created, now)}`,
        left: ((index + 0.5) * 100) / runs.length,
        bottom: height === 0 ? 50 : ((metric.last - low) * 100) / height,
      },
    ];
  });
}

/** The highest and the lowest last value, as the ends of the axis of the dots; one if all are equal. */
export function axisOf({ runs }: ComparisonChart): string[] {
  const values = runs.flatMap(({ metric }) => (metric.last === null ? [] : [metric.last]));
  return [...new Set([Math.max(...values), Math.min(...values)])].filter(isFinite).map(number);
}
