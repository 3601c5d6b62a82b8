import { describe, expect, it } from "vitest";

import type { MetricComparison } from "@/api/schema";
import { axisOf, changeText, comparisonCharts, dotsOf } from "@/results/model/metricComparison";
import { metricLine } from "@/results/model/metrics";

/** Pipelines, the newest first, with the values of "loss" of /train; null has no metrics. */
function found(...runs: ((number | null)[] | null)[]): MetricComparison {
  return {
    complete: true,
    pipelines: runs.map((values, index) => ({
      id: `run-${index}`,
      created: 0,
      state: "done",
      metrics:
        values === null
          ? []
          : [
              {
                path: "/train",
                attempt: 1,
                name: "loss",
                last: values.at(-1) ?? null,
                minimum: null,
                maximum: null,
                count: values.length,
                kept: values.length,
                values,
                steps: values.map((_, step) => step),
              },
            ],
    })),
  };
}

describe("a comparison of metrics", () => {
  it("needs two pipelines with the metric", () => {
    expect(comparisonCharts(found([1], null), "run-0")).toEqual([]);
    expect(comparisonCharts(found(), null)).toEqual([]);
  });

  it("compares a pipeline with earlier ones only", () => {
    expect(comparisonCharts(found(null, [1], [2]), "run-0")).toEqual([]);
    expect(comparisonCharts(found([2], [1]), "run-1")).toEqual([]);
  });

  it("is ordered from the oldest pipeline to the newest", () => {
    const [chart] = comparisonCharts(found([3], null, [1]), "run-0");
    expect(chart?.runs.map(({ pipeline, isCurrent }) => [pipeline, isCurrent])).toEqual([
      ["run-2", false],
      ["run-0", true],
    ]);
  });

  it("draws all lines with the same scale", () => {
    const [chart] = comparisonCharts(found([0, 10], [5, null, 5]), null);
    const lines = chart?.runs.map(({ metric }) => metricLine(metric, 100, 50, chart.domain));
    expect(lines).toEqual(["M0 25M100 25", "M0 50L50 0"]);
  });

  it.each([
    [found([0.21], [0.25]), "run-0", "0.21, before 0.25 (-16%)"],
    [found([2], [-1]), null, "2, before -1 (+300%)"],
    [found([2], [0]), "run-0", "2, before 0"],
    [found([null], [3]), "run-0", "null, before 3"],
    [found([3], [null]), "run-0", "3, before null"],
  ])("names the change (%#)", (comparison, current, text) => {
    const [chart] = comparisonCharts(comparison, current);
    expect(chart === undefined ? null : changeText(chart)).toBe(text);
  });

  it("has a dot for each last value", () => {
    const [chart] = comparisonCharts(found([4], [null], [2], [3]), "run-0");
    const dots = chart === undefined ? [] : dotsOf(chart, new Date(0));
    expect(dots.map(({ pipeline, left, bottom }) => [pipeline, left, bottom])).toEqual([
      ["run-3", 12.5, 50],
      ["run-2", 37.5, 0],
      ["run-0", 87.5, 100],
    ]);
    expect(dots[2]?.title).toMatch(/^4, run-0, /);
  });

  it("has an axis with the highest and the lowest last value", () => {
    const [rising] = comparisonCharts(found([4], [1], [2.5]), null);
    const [level] = comparisonCharts(found([3], [3]), null);
    expect(rising && axisOf(rising)).toEqual(["4", "1"]);
    expect(level && axisOf(level)).toEqual(["3"]);
  });
});
