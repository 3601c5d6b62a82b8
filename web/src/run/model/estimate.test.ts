import { expect, test } from "vitest";

import type { PipelineRun, PipelineSummary } from "@/api/schema";
import { earlierDurations, estimate } from "@/run/model/estimate";
import { NO_COUNTS } from "@/run/model/states";

function run(id: string, took: number, changes: Partial<PipelineRun> = {}): PipelineRun {
  return {
    id,
    state: "done",
    settled: true,
    execs: 10,
    started: 1000,
    ended: 1000 + took,
    active_seconds: null,
    active_since: null,
    ...changes,
  };
}

const now = {
  pipeline: { id: "now" },
  counts: { ...NO_COUNTS, done: 10 },
} as unknown as PipelineSummary;

test("only successful runs of similar size count", () => {
  const others = [
    run("now", 5),
    run("a", 30),
    run("failed", 5, { state: "error" }),
    run("never ended", 5, { ended: null }),
    run("smaller", 5, { execs: 7 }),
    run("larger", 5, { execs: 13 }),
    run("under way", 5, { settled: false }),
    run("b", 50),
  ];

  expect(earlierDurations(now, others)).toEqual([30, 50]);
});

test("only the newest nine runs count", () => {
  const others = Array.from({ length: 20 }, (_, number) => run(`r${number}`, number));

  expect(earlierDurations(now, others)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
});

test("the remaining time is derived from the median of earlier runs", () => {
  expect(estimate(10, [300, 20, 60])).toEqual({ usual: 60, remaining: 50 });
});

test("a run that takes longer than usual has no remaining time", () => {
  expect(estimate(61, [60])).toEqual({ usual: 60, remaining: null });
});

test("without earlier runs there is no estimate", () => {
  expect(estimate(10, [])).toBeNull();
});
