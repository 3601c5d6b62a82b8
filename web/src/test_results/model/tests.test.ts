import { expect, test } from "vitest";

import type { PipelineTest, PipelineTests } from "@/api/schema";
import { filterIn, labelsOf, quarantineCommand, summaryOf } from "@/test_results/model/tests";

const TESTS: PipelineTests = {
  pipeline: "abc-def",
  counts: {
    passed: 1200,
    failed: 2,
    skipped: 1,
    flaky: 0,
    left_out: 0,
    seconds: 3,
    incomplete: false,
  },
  nodes: 1,
  tests: [],
  more: 0,
  new_failures: 1,
  still_failing: 1,
  fixed: 3,
  quarantined: 0,
  problems: [],
  suggested: [],
};

const TEST: PipelineTest = {
  name: "t",
  path: "/a",
  attempt: 1,
  outcome: "failed",
  change: "still_failing",
  seconds: 1,
  file: null,
  line: null,
  message: "",
  output: "",
  flaky: true,
  quarantined: true,
};

test("summary leaves out zeros", () => {
  expect(summaryOf(TESTS)).toBe("1,203 tests: 2 failed (1 new), 3 fixed, 1,200 passed, 1 skipped");
});

test("labels of a test", () => {
  expect(labelsOf(TEST)).toBe("failed, still failing, flaky, quarantined");
  expect(labelsOf({ ...TEST, outcome: "flaky", change: null, quarantined: false })).toBe("flaky");
});

test("unknown filter is all", () => {
  expect([filterIn("slow"), filterIn("x"), filterIn(null)]).toEqual(["slow", "all", "all"]);
});

test("the command for a quarantine quotes the name of the test", () => {
  expect(quarantineCommand("abc-def", "a b")).toBe(
    "conducto tests abc-def --quarantine 'a b' --until 14d --reason TEXT",
  );
});
