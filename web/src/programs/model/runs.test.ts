import { expect, test } from "vitest";

import type { PipelineRun, PipelineSummary, RunHistory } from "@/api/schema";
import { duration, moment } from "@/lib/time";
import {
  barsOf,
  hasSameRuns,
  historyFinder,
  historySummary,
  historyText,
  isAnyActive,
} from "@/programs/model/runs";

const NOW = 10_000;

function run(id: string, took: number | null, changes: Partial<PipelineRun> = {}): PipelineRun {
  return {
    id,
    state: "done",
    settled: true,
    execs: 3,
    started: 9000,
    ended: took === null ? null : 9000 + took,
    active_seconds: null,
    active_since: null,
    ...changes,
  };
}

function history(changes: Partial<RunHistory> = {}): RunHistory {
  return {
    title: "nightly",
    program: "/p.py",
    function: null,
    runs: [],
    ended: 0,
    passed: 0,
    median_seconds: null,
    ...changes,
  };
}

function looks(...runs: PipelineRun[]): string[] {
  return barsOf(history({ runs }), NOW).map((bar) => bar.status);
}

function heights(...runs: PipelineRun[]): number[] {
  return barsOf(history({ runs }), NOW).map((bar) => bar.height);
}

test("a history is found by its program; the first match wins", () => {
  const [mine, older, other] = [history({ ended: 1 }), history(), history({ program: null })];
  const called = history({ function: "f" });

  const find = historyFinder([mine, other, older, called]);

  expect(find({ title: "nightly", program: "/p.py", function: null })).toBe(mine);
  expect(find({ title: "nightly", program: null, function: null })).toBe(other);
  expect(find({ title: "weekly", program: "/p.py", function: null })).toBeUndefined();
  expect(find({ title: "weekly", program: "/p.py", function: "f" })).toBe(called);
});

test("the newest run is the last bar", () => {
  const bars = barsOf(history({ runs: [run("new", 1), run("old", 1)] }), NOW);

  expect(bars.map((bar) => bar.id)).toEqual(["old", "new"]);
});

test("bars are proportional to durations, with a minimum height", () => {
  expect(heights(run("a", 100), run("b", 50), run("c", 0.1))).toEqual([0.15, 0.5, 1]);
});

test("runs without duration have equal bars", () => {
  expect(heights(run("a", 0), run("b", 0))).toEqual([1, 1]);
});

test("the bar of an active run shows its current duration", () => {
  const goesOn = run("a", null, { state: "running", settled: false });

  expect(heights(goesOn, run("b", 500))).toEqual([0.5, 1]);
});

test("the bar of an interrupted run is short", () => {
  expect(heights(run("a", null, { state: "pending" }), run("b", 10))).toEqual([1, 0.15]);
});

test("only finished runs show their final state", () => {
  const failing = run("a", null, { state: "error", settled: false });
  const paused = run("b", null, { state: "pending" });

  expect(looks(run("c", 1, { state: "killed" }), paused, failing, run("d", 1))).toEqual([
    "done",
    "running",
    "pending",
    "killed",
  ]);
});

test("the title of a bar has state, duration and time", () => {
  const runs = [
    run("never", null, { state: "pending", started: null }),
    run("paused", null, { state: "pending" }),
    run("failing", null, { state: "error", settled: false }),
    run("failed", 62, { state: "error" }),
  ];
  const when = moment(9000);

  expect(barsOf(history({ runs }), NOW).map((bar) => bar.text)).toEqual([
    `failed, 1m 02s, ${when}`,
    `failed, still active, ${duration(1000)}, ${when}`,
    `pending, ${when}`,
    "pending",
  ]);
});

test("bars grow while a run is active", () => {
  expect(isAnyActive(history({ runs: [run("a", 1), run("b", null, { settled: false })] }))).toBe(
    true,
  );
  expect(isAnyActive(history({ runs: [run("a", 1)] }))).toBe(false);
});

test.each([
  [history(), "none finished yet", ""],
  [history({ ended: 1 }), "0 of 1 passed", "the last one did not pass"],
  [history({ ended: 1, passed: 1 }), "1 of 1 passed", "the last one passed"],
  [history({ ended: 2 }), "0 of 2 passed", "0 of the last 2 passed"],
  [
    history({ ended: 14, passed: 12, median_seconds: 182 }),
    "12 of 14 passed, median 3m 02s",
    "12 of the last 14 passed, median 3m 02s",
  ],
  [history({ ended: 300, passed: 299 }), "299 of 300 passed", "299 of the last 300 passed"],
  [
    history({ ended: 3, passed: 3, median_seconds: 4 }),
    "3 of 3 passed, median 4.0s",
    "3 of the last 3 passed, median 4.0s",
  ],
])("the history is summarised in a long and a short form", (one, text, short) => {
  expect(historyText(one)).toBe(text);
  expect(historySummary(one)).toBe(short);
});

test("histories are fetched again when a run is added, removed or changed", () => {
  const row = (id: string, changes: Partial<PipelineSummary> = {}) =>
    ({
      pipeline: { id },
      state: "running",
      settled: false,
      started: 9000,
      ...changes,
    }) as PipelineSummary;
  const rows = [row("b"), row("a")];

  expect(hasSameRuns(rows, [row("b"), row("a")])).toBe(true);
  expect(hasSameRuns(rows, [row("b", { seq: 12 }), row("a")])).toBe(true);
  expect(hasSameRuns(rows, [row("c"), row("b"), row("a")])).toBe(false);
  expect(hasSameRuns(rows, [row("b", { state: "done", settled: true }), row("a")])).toBe(false);
  expect(hasSameRuns(rows, [row("b"), row("a", { ended: 9005 })])).toBe(false);
});
