import { expect, test } from "vitest";

import { columnsOf, groupOf, runningAt, stepsOf } from "@/run/timeline/model/groupLanes";
import type { Bar } from "@/run/timeline/model/lanes";
import { lanesByNode } from "@/run/timeline/model/timeline";

function bar(path: string, started: number | null, ended: number | null, more = {}): Bar {
  return {
    path,
    number: 1,
    state: ended === null ? "running" : "done",
    queued: 0,
    imageReady: null,
    admitted: null,
    waitsFor: null,
    started,
    ended,
    container: null,
    exitCode: 0,
    ...more,
  };
}

test("running commands are counted over time, without overlap of consecutive ones", () => {
  const steps = stepsOf([bar("/a", 1, 4), bar("/b", 2, null), bar("/c", 4, 5)], 10);
  expect([0, 1, 2.5, 4, 6, 10].map((time) => runningAt(steps, time))).toEqual([0, 1, 2, 2, 1, 0]);
  expect(stepsOf([bar("/a", null, null)], 10)).toEqual({ times: [], counts: [] });
});

test("attempts without duration are counted", () => {
  expect(Math.max(...stepsOf([bar("/a", 3, 3), bar("/b", 3, 3)], 10).counts)).toBe(2);
});

test("a column shows the maximum within it", () => {
  const steps = stepsOf([bar("/a", 0, 4), bar("/b", 1.2, 1.4), bar("/c", 6, 8)], 10);
  expect(columnsOf(steps, { from: 0, to: 10 }, 10)).toEqual([1, 2, 1, 1, 0, 0, 1, 1, 0, 0]);
  expect(columnsOf(steps, { from: 2, to: 4 }, 2)).toEqual([1, 1]);
});

test("the failures of all attempts are recorded with their times", () => {
  const failed = { state: "error", number: 1 };
  const bars = [bar("/g/a", 0, 7, failed), bar("/g/a", 8, 9, { number: 2 })];
  bars.push(bar("/g/b", 0, 3, { state: "killed" }));
  const group = groupOf(lanesByNode(bars), 10);
  expect(group).toMatchObject({ nodes: 2, attempts: 3, failures: [3, 7] });
});
