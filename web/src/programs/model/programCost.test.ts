import { expect, test } from "vitest";

import type { PipelineSummary, Usage } from "@/api/schema";
import { costOf, monthsOf, sumOf } from "@/programs/model/programCost";

const at = (text: string) => Date.parse(`${text}T12:00:00Z`) / 1000;

function run(id: string, created: string, ended: string | null): PipelineSummary {
  return {
    pipeline: { id, created: at(created) },
    started: at(created),
    settled: ended !== null,
    ended: ended === null ? null : at(ended),
  } as PipelineSummary;
}

function usage(...pipelines: object[]): Usage {
  const none = { transition_dollars: 0, request_dollars: 0, storage_dollars: 0, price: null };
  return { pipelines: pipelines.map((one) => ({ ...none, ...one })) } as unknown as Usage;
}

test("the newest months of the shown pipelines are read, up to now for one that runs", () => {
  const now = at("2026-12-02");
  expect(
    monthsOf([run("b", "2026-11-30", "2026-12-01"), run("a", "2026-11-02", "2026-11-02")], now),
  ).toEqual(["2026-12", "2026-11"]);
  const old = ["2026-05-01", "2026-06-01", "2026-07-01"].map((day) => run(day, day, day));
  expect(monthsOf([run("r", "2026-11-30", null), ...old], now)).toEqual([
    "2026-12",
    "2026-11",
    "2026-07",
  ]);
});

test("a pipeline of two months has one cost: the price, or else the parts at AWS's prices", () => {
  const first = usage({ id: "a", dollars: 1, storage_dollars: 0.5, cpu_seconds: 60 });
  const second = usage({ id: "a", dollars: 2, cpu_seconds: 30 });
  const found = costOf([first, second]);
  expect(found.of.get("a")).toEqual({ dollars: 3.5, cpuSeconds: 90 });
  expect([found.billed, found.free]).toEqual([false, false]);
  const billed = costOf([usage({ id: "a", dollars: 1, price: 1.5, cpu_seconds: 60 })]);
  expect([billed.of.get("a")?.dollars, billed.billed]).toEqual([1.5, true]);
  expect(costOf([usage({ id: "a", dollars: 0, cpu_seconds: 9 })]).free).toBe(true);
});

test("the usual cost is that of pipelines that have ended; the sum has all", () => {
  const runs = [run("c", "2026-12-02", null), run("b", "2026-12-01", "2026-12-01")];
  const values = new Map([
    ["b", 4],
    ["c", 10],
  ]);
  expect(sumOf(runs, (id) => values.get(id) ?? null)).toEqual({ sum: 14, usual: 4 });
  expect(sumOf([], () => null)).toEqual({ sum: 0, usual: null });
});
