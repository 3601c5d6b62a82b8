import { expect, it } from "vitest";

import type { NodeView } from "@/api/schema";
import { failureReason, groupFailures, relevantLines } from "@/run/model/failures";
import { NO_COUNTS } from "@/run/model/states";

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

it("shows an ellipsis for names and numbers that vary", () => {
  const nodes = [1, 2].map((n) => failed(`/${n}`, null, `worker conducto_x_${n} was closed`));
  expect(groups(...nodes)).toEqual([["worker lost: worker … was closed", ["/1", "/2"]]]);
  expect(groups(...nodes.slice(1))).toEqual([
    ["worker lost: worker conducto_x_2 was closed", ["/2"]],
  ]);
});

it("separates messages that differ in kind", () => {
  const got = (path: string, expected: number, found: number) =>
    failed(path, 1, null, `AssertionError: expected ${expected}, got ${found}`);
  const nodes = [
    got("/a", 402, 502),
    got("/b", 201, 502),
    got("/c", 200, 500),
    got("/d", 200, 502),
  ];
  expect(groups(...nodes)).toEqual([
    ["AssertionError: expected …, got 502", ["/a", "/b", "/d"]],
    ["AssertionError: expected 200, got 500", ["/c"]],
  ]);
});

it("shows an ellipsis for results that are all different", () => {
  const nodes = [0.25, 0.5, 0.75].map((n) => failed(`/${n}`, 1, null, `ValueError: got ${n}`));
  expect(groups(...nodes).map(([reason]) => reason)).toEqual(["ValueError: got …"]);
});

it("separates failures by the line that names the error", () => {
  const nodes = [
    failed("/a", 1, null, "KeyError: 'x'\n"),
    failed("/b", 1, null, "first\nModuleNotFoundError: foo in 0.13s at 0x7f2a"),
    failed("/c", 1, null, " \n"),
    failed("/d", 1, null, "\u001b[31mModuleNotFoundError: foo in 2.5s at 0x11\u001b[0m\nbye\n"),
  ];
  expect(groups(...nodes)).toEqual([
    ["ModuleNotFoundError: foo in …s at …", ["/b", "/d"]],
    ["KeyError: 'x'", ["/a"]],
    ["exit 1", ["/c"]],
  ]);
});

it("keeps failures with the same message but other exit codes apart", () => {
  const nodes = [failed("/a", 1, null, "no disk"), failed("/b", 2, null, "no disk")];
  expect(groups(...nodes)).toHaveLength(2);
});

it("reads the error of pytest and shows the lines around it", () => {
  const printed = [
    ...Array.from({ length: 20 }, (_, n) => `line ${n}`),
    "    assert response.status_code == 402",
    "E   AssertionError: expected 402, got 502",
    "E   body: reset",
    "1 failed in 0.12s",
  ].join("\n");
  const node = failed("/a", 1, null, printed);
  expect(failureReason(node)).toBe("AssertionError: expected 402, got 502");
  const { lines, error } = relevantLines(node);
  expect(lines[error]).toBe("E   AssertionError: expected 402, got 502");
  expect([lines.length, lines.at(-1)]).toEqual([8, "1 failed in 0.12s"]);
  expect(relevantLines(failed("/a", 1, null)).lines).toEqual([]);
});
