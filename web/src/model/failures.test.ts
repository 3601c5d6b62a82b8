import { expect, it } from "vitest";

import type { NodeView } from "@/api/schema";
import { groupFailures, lastLines } from "@/model/failures";
import { NO_COUNTS } from "@/model/states";

function failed(
  path: string,
  exitCode: number | null,
  message: string | null,
  tail: string | null = null,
): NodeView {
  const cause = exitCode === null ? "worker_lost" : "exit_code";
  const attempts = [{ exit_code: exitCode, message }];
  return { path, cause, state: "error", counts: null, attempts, tail } as NodeView;
}

const groups = (...nodes: NodeView[]) =>
  groupFailures(nodes).map((group) => [group.reason, group.nodes.map((node) => node.path)]);

it("groups similar failures, most common first", () => {
  const nodes = [failed("/a", 2, null), failed("/b", 1, null), failed("/c", 1, null)];
  expect(groups(...nodes)).toEqual([
    ["exit 1", ["/b", "/c"]],
    ["exit 2", ["/a"]],
  ]);
});

it("describes a timed out group by its limit and the effect", () => {
  const counts = { ...NO_COUNTS, killed: 1, pending: 4 };
  const node = { path: "/g", cause: "timeout", counts, max_time: 90, attempts: [], tail: null };
  expect(groups(node as unknown as NodeView)).toEqual([
    ["timed out: max_time 1m 30s (1 killed, 4 not run)", ["/g"]],
  ]);
});

it("ignores names that differ only in numbers", () => {
  const nodes = [1, 2].map((n) => failed(`/${n}`, null, `worker conducto_x_${n} was closed`));
  expect(groups(...nodes)).toEqual([["worker lost: worker conducto_x_1 was closed", ["/1", "/2"]]]);
});

it("separates failures by the last line of output, ignoring numbers", () => {
  const nodes = [
    failed("/a", 1, null, "KeyError: 'x'\n"),
    failed("/b", 1, null, "first\nModuleNotFoundError: foo in 0.13s at 0x7f2a"),
    failed("/c", 1, null, " \n"),
    failed("/d", 1, null, "\u001b[31mModuleNotFoundError: foo in 2.5s at 0x11\u001b[0m\n\n"),
  ];
  expect(groups(...nodes)).toEqual([
    ["exit 1: ModuleNotFoundError: foo in 0.13s at 0x7f2a", ["/b", "/d"]],
    ["exit 1: KeyError: 'x'", ["/a"]],
    ["exit 1", ["/c"]],
  ]);
});

it("returns the last lines of output, or none if unknown", () => {
  const printed = Array.from({ length: 20 }, (_, n) => `line ${n}`).join("\n");
  expect(lastLines(failed("/a", 1, null, printed))).toEqual(
    Array.from({ length: 8 }, (_, n) => `line ${n + 12}`),
  );
  expect(lastLines(failed("/a", 1, null))).toEqual([]);
});
