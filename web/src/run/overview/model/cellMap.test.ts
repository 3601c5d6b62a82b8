import { expect, it } from "vitest";

import { cellGroups, failedIn } from "@/run/overview/model/cellMap";

it("splits commands by the deepest level with few groups", () => {
  const names = ["prepare", "tests/a/1", "tests/a/2", "tests/b/1", "publish"];
  expect(cellGroups(names)).toEqual([
    { name: "prepare", from: 0, count: 1 },
    { name: "tests/a", from: 1, count: 2 },
    { name: "tests/b", from: 3, count: 1 },
    { name: "publish", from: 4, count: 1 },
  ]);
  expect(failedIn("DDEKP")).toBe(2);
});

it("draws one map for commands without groups and for too many groups", () => {
  expect(cellGroups(["a", "b"])).toBeNull();
  const names = Array.from({ length: 100 }, (_, n) => `g${n}/x`);
  expect(cellGroups(names)).toBeNull();
});
