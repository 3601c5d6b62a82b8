import { expect, it } from "vitest";

import { barOf, columnsOf, shortCount } from "@/run/model/columns";
import { NO_COUNTS } from "@/run/model/states";

it("the bar draws running commands apart from finished ones, and waiting ones not at all", () => {
  const counts = { ...NO_COUNTS, done: 50, error: 10, running: 20, queued: 10, pending: 10 };
  expect(barOf(counts)).toEqual([
    { state: "done", from: 0, share: 50 },
    { state: "error", from: 50, share: 10 },
    { state: "running", from: 61.5, share: 18.5 },
  ]);
  expect(barOf(NO_COUNTS)).toEqual([]);
  expect(barOf({ ...NO_COUNTS, running: 2 })).toEqual([{ state: "running", from: 0, share: 100 }]);
});

it("columns count failed and waiting commands together", () => {
  const counts = { ...NO_COUNTS, error: 2, killed: 1, queued: 3, pending: 4 };
  expect(columnsOf(false).map(({ countOf }) => countOf(counts))).toEqual([3, 0, 0, 7]);
  expect(columnsOf(true)).toHaveLength(3);
  expect([shortCount(1940), shortCount(99_000), shortCount(123_456)]).toEqual([
    "1,940",
    "99k",
    "123k",
  ]);
});
