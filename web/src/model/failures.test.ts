import { expect, it } from "vitest";

import type { NodeView } from "@/api/schema";
import { groupFailures } from "@/model/failures";

function failed(path: string, exitCode: number | null, message: string | null): NodeView {
  const cause = exitCode === null ? "worker_lost" : "exit_code";
  return { path, cause, state: "error", attempts: [{ exit_code: exitCode, message }] } as NodeView;
}

const groups = (...nodes: NodeView[]) =>
  groupFailures(nodes).map((group) => [group.reason, group.nodes.map((node) => node.path)]);

it("tells failures that are alike once, the most common first", () => {
  const nodes = [failed("/a", 2, null), failed("/b", 1, null), failed("/c", 1, null)];
  expect(groups(...nodes)).toEqual([
    ["exit 1", ["/b", "/c"]],
    ["exit 2", ["/a"]],
  ]);
});

it("passes over names that differ in numbers only", () => {
  const nodes = [1, 2].map((n) => failed(`/${n}`, null, `worker conducto_x_${n} was closed`));
  expect(groups(...nodes)).toEqual([
    ["container lost: worker conducto_x_1 was closed", ["/1", "/2"]],
  ]);
});
