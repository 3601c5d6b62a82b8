import { expect, it } from "vitest";

import type { NodeView } from "@/api/schema";
import { isNear, memoryPeaks, deviations, slowest } from "@/run/model/slowest";

const now = new Map([
  ["/a", 10],
  ["/b", 3],
  ["/c", 1.1],
]);
const usual = new Map([
  ["/a", { usual: 5, slow: null }],
  ["/b", { usual: 3, slow: null }],
  ["/c", { usual: 1, slow: null }],
]);

it("lists the slowest commands with their medians", () => {
  expect(slowest(now, usual, 2)).toEqual([
    { path: "/a", seconds: 10, median: 5 },
    { path: "/b", seconds: 3, median: 3 },
  ]);
  expect(slowest(now, new Map(), 1)).toEqual([{ path: "/a", seconds: 10, median: null }]);
});

it("lists only commands that clearly differ from their median", () => {
  expect(deviations(now, usual, 3)).toEqual([
    { path: "/a", seconds: 10, median: 5, difference: 5 },
  ]);
});

it("has the memory of commands and their limits, and tells those near it", () => {
  const node = (path: string, peak_memory: number | null, mem: number | null) =>
    ({ path, attempts: [{ peak_memory, mem }] }) as unknown as NodeView;

  expect(memoryPeaks([node("/a", 2 ** 30, 2), node("/b", 5, null), node("/c", null, 2)])).toEqual([
    { path: "/a", peak: 2 ** 30, limit: 2 ** 31 },
    { path: "/b", peak: 5, limit: null },
  ]);
  expect([isNear(95, 100), isNear(80, 100), isNear(80, null)]).toEqual([true, false, false]);
});
