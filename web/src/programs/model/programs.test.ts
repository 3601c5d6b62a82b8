import { expect, test } from "vitest";

import type { Counts, PipelineRecord, PipelineSummary, RunHistory } from "@/api/schema";
import { groupByProgram, headline, initials, launchedSince } from "@/programs/model/programs";
import { NO_COUNTS } from "@/run/model/states";

const NOW = 1000;

function summary(
  counts: Partial<Counts>,
  changes: Partial<PipelineSummary> = {},
  pipeline: Partial<PipelineRecord> = {},
): PipelineSummary {
  const record: Partial<PipelineRecord> = {
    id: "abc-def",
    title: "checks.py nightly",
    program: "/home/ada/checks.py",
    function: null,
    armed: true,
    run_at: null,
    created: 0,
    ...pipeline,
  };
  return {
    pipeline: record as PipelineRecord,
    state: "done",
    settled: true,
    counts: { ...NO_COUNTS, ...counts },
    started: 100,
    ended: 200,
    active_seconds: null,
    active_since: null,
    rounds: [],
    approvals: [],
    agent: null,
    warning: false,
    images: [],
    workers: null,
    seq: 1,
    ...changes,
  };
}

test("programs are in the order of their newest pipeline, with all of theirs", () => {
  const named = (id: string, title: string, program: string | null) =>
    summary({}, {}, { id, title, program });

  const found = groupByProgram([
    named("d", "Nightly", "/p/checks.py"),
    named("c", "checks.py web", "/p/checks.py"),
    named("b", "Nightly", "/p/checks.py"),
    named("a", "Nightly", null),
  ]);

  expect(
    found.map(({ name, script, pipelines }) => [
      name,
      script,
      pipelines.map((one) => one.pipeline.id),
    ]),
  ).toEqual([
    ["Nightly", "checks.py", ["d", "b"]],
    ["checks.py web", null, ["c"]],
    ["Nightly", null, ["a"]],
  ]);
});

test("the launches of a function are one program, whatever their arguments and titles", () => {
  const launched = (id: string, title: string, name: string) =>
    summary({}, {}, { id, title, function: name });

  const found = groupByProgram([
    launched("d", "Before the release", "nightly"),
    launched("c", "checks.py web", "web"),
    launched("b", "checks.py nightly --shards 4", "nightly"),
    launched("a", "checks.py nightly --shards 2", "nightly"),
  ]);

  expect(
    found.map(({ name, pipelines }) => [name, ...pipelines.map((p) => p.pipeline.id)]),
  ).toEqual([
    ["checks.py nightly", "d", "b", "a"],
    ["checks.py web", "c"],
  ]);
});

test.each([
  [summary({ done: 2002 }), "All 2,002 done"],
  [summary({ done: 1 }), "1 command done"],
  [summary({ done: 9, error: 1 }, { warning: true }), "Done; 1 optional command failed"],
  [summary({ done: 1941, error: 61 }, { state: "error" }), "61 of 2,002 failed"],
  [summary({ done: 1, killed: 2 }, { state: "killed" }), "2 of 3 killed"],
  [
    summary({ pending: 8 }, { state: "pending", started: null }, { armed: false }),
    "8 commands to run",
  ],
  [
    summary({ done: 7423, error: 14, pending: 92563 }, { state: "pending" }, { armed: false }),
    "7,423 of 100,000 done, 14 failed",
  ],
])("the headline of %# says what matters", (one, text) => {
  expect(headline(one, undefined, NOW)).toBe(text);
});

test("the headline of a running pipeline estimates the rest from earlier runs", () => {
  const running = summary(
    { done: 47, running: 1, pending: 29 },
    {
      state: "running",
      settled: false,
      started: 900,
      ended: null,
      active_since: 900,
      active_seconds: 0,
    },
  );
  const earlier = { id: "old", state: "done", settled: true, execs: 77 } as const;
  const times = { started: 0, ended: 160, active_seconds: 160, active_since: null };
  const history = { runs: [{ ...earlier, ...times }] } as unknown as RunHistory;

  expect(headline(running, history, NOW)).toBe("47 of 77 done, about 1m 00s left");
  expect(headline(running, undefined, NOW)).toBe("47 of 77 done");
});

test("older launches are left out of a period", () => {
  const list = [summary({}, {}, { created: 500 }), summary({}, {}, { created: 400 })];

  expect(launchedSince(list, 450)).toEqual([list[0]]);
  expect(launchedSince(list, null)).toBe(list);
});

test("initials come from the first two words of a name", () => {
  expect(["Mara Lindqvist", "jonas.berg@shop.example", "ada", ""].map(initials)).toEqual([
    "ML",
    "JB",
    "AD",
    "",
  ]);
});
