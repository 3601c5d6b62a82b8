import { expect, test } from "vitest";

import type { PipelineSummary, State } from "@/api/schema";
import {
  axisOf,
  DOLLARS,
  defaultPair,
  passRates,
  streakOf,
  totalsOf,
} from "@/programs/model/programRuns";

function run(state: State, took: number, settled = true): PipelineSummary {
  const times = { started: 0, ended: took, active_seconds: null, active_since: null };
  return { state, settled, ...times } as PipelineSummary;
}

test("totals count finished pipelines, and times of those that passed", () => {
  const times = Array.from({ length: 20 }, (_, index) => run("done", index + 1));

  expect(totalsOf([...times, run("error", 900), run("running", 5, false)])).toEqual({
    finished: 21,
    passed: 20,
    median: 11,
    p95: 20,
  });
  expect(totalsOf([])).toEqual({ finished: 0, passed: 0, median: null, p95: null });
});

test("the axis has few round times and reaches the longest one", () => {
  expect(axisOf(250)).toEqual([0, 120, 240, 360]);
  expect(axisOf(4)).toEqual([0, 1, 2, 3, 4]);
  expect(axisOf(0)).toEqual([0, 0.05]);
  expect(axisOf(400_000)).toEqual([0, 172_800, 345_600, 518_400]);
});

test("the axis of money has steps of 1, 2 or 5", () => {
  expect(DOLLARS.axis(18.2)).toEqual([0, 5, 10, 15, 20]);
  expect(DOLLARS.axis(0.04)).toEqual([0, 0.01, 0.02, 0.03, 0.04]);
  expect(DOLLARS.axis(0)).toHaveLength(2);
});

test("pass rates are those of the newest pipelines and of as many before", () => {
  const pipelines = [run("done", 1), run("error", 1), run("done", 1), run("done", 1)];

  expect(passRates(pipelines, 2)).toEqual({ rate: 50, before: 100 });
  expect(passRates(pipelines, 4)).toEqual({ rate: 75, before: null });
});

test("the newest finished pipeline is compared with the one before, or with the last success", () => {
  const named = (id: string, state: State, settled = true) =>
    ({ ...run(state, 1, settled), pipeline: { id } }) as PipelineSummary;

  expect(
    defaultPair([
      named("e", "running", false),
      named("d", "error"),
      named("c", "error"),
      named("b", "done"),
    ]),
  ).toEqual({ before: "b", after: "d" });
  expect(defaultPair([named("d", "error"), named("c", "error")])).toEqual({
    before: "c",
    after: "d",
  });
  expect(defaultPair([named("d", "done"), named("c", "error"), named("b", "done")])).toEqual({
    before: "c",
    after: "d",
  });
  expect(defaultPair([named("a", "done")])).toBeNull();
});

test("a streak ends at the last other outcome, without unfinished pipelines", () => {
  const [bad, good] = [run("error", 1), run("done", 1)];
  const active = run("running", 1, false);

  expect(streakOf([active, bad, run("killed", 2), good, bad])).toMatchObject({
    failing: true,
    length: 2,
    changed: true,
    first: { state: "killed" },
  });
  expect(streakOf([good, good])).toMatchObject({ failing: false, length: 2, changed: false });
  expect(streakOf([active])).toBeNull();
});
