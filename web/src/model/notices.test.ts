import { expect, test } from "vitest";

import type { PipelineSummary } from "@/api/schema";
import { ended, outcome } from "@/model/notices";
import { NO_COUNTS } from "@/model/states";

function summary(id: string, settled: boolean): PipelineSummary {
  const counts = { ...NO_COUNTS, done: 6, error: 1 };
  return { pipeline: { id }, settled, state: "error", counts } as PipelineSummary;
}

test("only what went on before has come to an end", () => {
  const before = [summary("a", false), summary("b", true), summary("c", false)];
  const now = [summary("a", true), summary("b", true), summary("c", false), summary("d", true)];
  expect(ended(before, now).map((one) => one.pipeline.id)).toEqual(["a"]);
});

test("nothing was known: nothing has ended", () => {
  expect(ended([], [summary("a", true)])).toEqual([]);
});

test("an outcome names the states that Execs are in", () => {
  expect(outcome(summary("a", true))).toBe("error: 6 done, 1 error");
});
