import { expect, test } from "vitest";

import type { PipelineSummary } from "@/api/schema";
import { newlySettled, outcomeText } from "@/model/notifications";
import { NO_COUNTS } from "@/model/states";

function summary(id: string, settled: boolean): PipelineSummary {
  const counts = { ...NO_COUNTS, done: 6, error: 1 };
  return { pipeline: { id }, settled, state: "error", counts } as PipelineSummary;
}

test("only pipelines that were active before have finished", () => {
  const before = [summary("a", false), summary("b", true), summary("c", false)];
  const now = [summary("a", true), summary("b", true), summary("c", false), summary("d", true)];
  expect(newlySettled(before, now).map((one) => one.pipeline.id)).toEqual(["a"]);
});

test("without an earlier poll, nothing has finished", () => {
  expect(newlySettled([], [summary("a", true)])).toEqual([]);
});

test("the outcome lists states with counts", () => {
  expect(outcomeText(summary("a", true))).toBe("failed: 6 done, 1 failed");
});
