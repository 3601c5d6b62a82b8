import { expect, it } from "vitest";

import { deviations, medians, slowest } from "@/model/slowest";

const now = new Map([
  ["/a", 10],
  ["/b", 3],
  ["/c", 1.1],
]);
const usual = medians([
  new Map([
    ["/a", 4],
    ["/b", 3],
    ["/c", 1],
  ]),
  new Map([
    ["/a", 6],
    ["/b", 3],
  ]),
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
