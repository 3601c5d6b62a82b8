import { expect, test } from "vitest";

import { undoOf } from "@/model/undo";

const skipped = (path: string) => path === "/old";

test("a skip is undone for the nodes that were not skipped before", () => {
  const order = { action: "skip", paths: ["/old", "/new"] } as const;

  expect(undoOf({ ...order, paths: [...order.paths] }, skipped)).toEqual({
    action: "unskip",
    paths: ["/new"],
  });
});

test("an unskip is undone by a skip", () => {
  expect(undoOf({ action: "unskip", paths: ["/old"] }, skipped)).toEqual({
    action: "skip",
    paths: ["/old"],
  });
});

test("what changed nothing, and what cannot be taken back, has no undo", () => {
  expect(undoOf({ action: "skip", paths: ["/old"] }, skipped)).toBeNull();
  expect(undoOf({ action: "kill", paths: ["/new"] }, skipped)).toBeNull();
});
