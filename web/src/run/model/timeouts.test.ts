import { expect, it } from "vitest";

import { newNode, type TreeNode } from "@/run/model/node";
import { NO_COUNTS } from "@/run/model/states";
import { stoppedBy } from "@/run/model/timeouts";

const timedOut = { state: "killed", cause: "timeout" } as const;
const group = { ...newNode("/g", "Parallel"), ...timedOut, counts: NO_COUNTS, maxTime: 10 };

function stopped(exec: Partial<TreeNode>, above: Partial<TreeNode> = {}): string | null {
  const node = { ...newNode("/g/a", "Exec"), ...timedOut, ...exec };
  const nodes = [newNode("/", "Parallel"), { ...group, ...above }, node];
  return stoppedBy(new Map(nodes.map((one) => [one.path, one])), node);
}

it("finds the group that timed out", () => {
  expect(stopped({ started: 0, ended: 10, maxTime: 14_400 })).toBe("/g");
  expect(stopped({ started: 0, ended: 10, maxTime: 10 })).toBe("/g");
});

it("finds no group if the command's own shorter limit expired", () => {
  expect(stopped({ started: 0, ended: 5, maxTime: 5 })).toBeNull();
});

it("finds no group that did not time out, and none for another cause", () => {
  expect(stopped({}, { state: "error", cause: null })).toBeNull();
  expect(stopped({ cause: "killed_by_user" })).toBeNull();
});
