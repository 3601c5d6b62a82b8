import { expect, test } from "vitest";

import { undoRequest } from "@/run/actions/model/undo";

const skipped = (path: string) => path === "/old";

test("undoing a skip unskips only nodes that were not skipped before", () => {
  const order = { action: "skip", paths: ["/old", "/new"] } as const;

  expect(undoRequest({ ...order, paths: [...order.paths] }, skipped)).toEqual({
    action: "unskip",
    paths: ["/new"],
  });
});

test("undoing an unskip skips", () => {
  expect(undoRequest({ action: "unskip", paths: ["/old"] }, skipped)).toEqual({
    action: "skip",
    paths: ["/old"],
  });
});

test("actions without effect, and other actions, have no undo", () => {
  expect(undoRequest({ action: "skip", paths: ["/old"] }, skipped)).toBeNull();
  expect(undoRequest({ action: "kill", paths: ["/new"] }, skipped)).toBeNull();
});
