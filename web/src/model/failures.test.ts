import { expect, it } from "vitest";

import type { NodeView } from "@/api/schema";
import { groupFailures } from "@/model/failures";

function failed(path: string, exitCode: number | null, message: string | null): NodeView {
  const cause = exitCode === null ? "worker_lost" : "exit_code";
  return { path, cause, state: "error", attempts: [{ exit_code: exitCode, message }] } as NodeView;
}

const groups = (...nodes: NodeView[]) => grouped(nodes, {});

const grouped = (nodes: NodeView[], lines: Record<string, string>) =>
  groupFailures(nodes, new Map(Object.entries(lines))).map((group) => [
    group.reason,
    group.nodes.map((node) => node.path),
  ]);

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

it("tells apart by what was printed last what ended alike, whatever the numbers in it", () => {
  const nodes = ["/a", "/b", "/c", "/d"].map((path) => failed(path, 1, null));
  const lines = {
    "/a": "KeyError: 'x'",
    "/b": "ModuleNotFoundError: foo in 0.13s at 0x7f2a",
    "/d": "ModuleNotFoundError: foo in 2.5s at 0x11",
  };
  expect(grouped(nodes, lines)).toEqual([
    ["exit 1: ModuleNotFoundError: foo in 0.13s at 0x7f2a", ["/b", "/d"]],
    ["exit 1: KeyError: 'x'", ["/a"]],
    ["exit 1", ["/c"]],
  ]);
});
