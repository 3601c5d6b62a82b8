import { expect, test } from "vitest";

import type { NodeView, PipelineSummary, State } from "@/api/schema";
import { compare, flakyNodes, totalsOf } from "@/model/programRuns";

function run(state: State, took: number, settled = true): PipelineSummary {
  const times = { started: 0, ended: took, active_seconds: null, active_since: null };
  return { state, settled, ...times } as PipelineSummary;
}

function node(path: string, state: State, took: number, command = "true"): NodeView {
  const attempts = [{ started: 10, ended: 10 + took }];
  return { path, state, command, type: "Exec", attempts } as unknown as NodeView;
}

test("totals count finished pipelines, and times of those that passed", () => {
  const times = Array.from({ length: 20 }, (_, index) => run("done", index + 1));

  expect(totalsOf([...times, run("error", 900), run("running", 5, false)])).toEqual({
    finished: 21,
    passed: 20,
    median: 11,
    p95: 20,
  });
  expect(totalsOf([])).toEqual({ finished: 0, passed: 0, median: null, p95: null });
});

test("flaky nodes failed in some pipelines, but not in all", () => {
  const failed = [["/a", "/always"], ["/a", "/b", "/always"], ["/always"]];

  expect(flakyNodes(failed.map((paths) => new Set(paths)))).toEqual([
    { path: "/a", failed: [true, true, false], count: 2 },
    { path: "/b", failed: [false, true, false], count: 1 },
  ]);
});

test("two pipelines are compared by outcome, time, command and path", () => {
  const before = [
    node("/breaks", "done", 1),
    node("/heals", "error", 1),
    node("/slow", "done", 10),
    node("/same", "done", 10),
    node("/edited", "done", 1, "old"),
    node("/gone", "done", 1),
  ];
  const after = [
    node("/breaks", "error", 1),
    node("/heals", "done", 1),
    node("/slow", "done", 15),
    node("/same", "done", 11),
    node("/edited", "done", 1, "new"),
    node("/new", "killed", 1),
  ];

  expect(compare(before, after)).toEqual({
    newlyFailing: ["/breaks", "/new"],
    fixed: ["/heals"],
    slower: [{ path: "/slow", seconds: 5 }],
    changedCommands: ["/edited"],
    added: ["/new"],
    removed: ["/gone"],
  });
});
