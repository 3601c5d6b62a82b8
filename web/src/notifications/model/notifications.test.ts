import { expect, test } from "vitest";

import type { PipelineSummary } from "@/api/schema";
import { newsOf, outcomeText } from "@/notifications/model/notifications";
import { NO_COUNTS } from "@/run/model/states";

function summary(id: string, settled: boolean, error = 1): PipelineSummary {
  const counts = { ...NO_COUNTS, done: 6, error };
  return { pipeline: { id }, settled, state: "error", counts } as PipelineSummary;
}

test("only pipelines that were active before have finished", () => {
  const before = [summary("a", false), summary("b", true), summary("c", false)];
  const now = [summary("a", true), summary("b", true), summary("c", false), summary("d", true)];
  expect(newsOf(before, now)).toEqual([{ summary: now[0], kind: "ended" }]);
});

test("without an earlier poll, nothing has finished", () => {
  expect(newsOf([], [summary("a", true)])).toEqual([]);
});

test("the first failure of a running pipeline is announced once", () => {
  const [fine, failing] = [summary("a", false, 0), summary("a", false, 1)];
  expect(newsOf([fine], [failing])).toEqual([{ summary: failing, kind: "failing" }]);
  expect(newsOf([failing], [summary("a", false, 2)])).toEqual([]);
});

test("the outcome lists states with counts", () => {
  expect(outcomeText(summary("a", true))).toBe("failed: 6 done, 1 failed");
});
