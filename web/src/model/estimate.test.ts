import { expect, test } from "vitest";

import type { PipelineSummary } from "@/api/schema";
import { earlierDurations, estimate } from "@/model/estimate";
import { NO_COUNTS } from "@/model/states";

function run(id: string, took: number, changes: Record<string, unknown> = {}): PipelineSummary {
  const { pipeline, ...rest } = changes;
  return {
    pipeline: { id, title: "nightly", program: "/p.py", ...(pipeline as object | undefined) },
    state: "done",
    settled: true,
    started: 1000,
    ended: 1000 + took,
    counts: { ...NO_COUNTS, done: 10 },
    ...rest,
  } as unknown as PipelineSummary;
}

const now = run("now", 0, { state: "running", settled: false, ended: null });

test("only runs of the same pipeline that came to a good end count", () => {
  const others = [
    now,
    run("a", 30),
    run("failed", 5, { state: "error" }),
    run("other title", 5, { pipeline: { title: "x" } }),
    run("other program", 5, { pipeline: { program: "/q.py" } }),
    run("smaller", 5, { counts: { ...NO_COUNTS, done: 7 } }),
    run("under way", 5, { settled: false }),
    run("b", 50),
  ];

  expect(earlierDurations(now, others)).toEqual([30, 50]);
});

test("the newest nine runs count", () => {
  const others = Array.from({ length: 20 }, (_, number) => run(`r${number}`, number));

  expect(earlierDurations(now, others)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
});

test("the rest is what is missing to the middle one of the earlier durations", () => {
  expect(estimate(10, [300, 20, 60])).toEqual({ usual: 60, rest: 50 });
});

test("a run that takes longer than usual has no rest", () => {
  expect(estimate(61, [60])).toEqual({ usual: 60, rest: null });
});

test("without earlier runs nothing is said", () => {
  expect(estimate(10, [])).toBeNull();
});
