/** Texts about tests. */

import type { PipelineTest, PipelineTests, TestOutcome } from "@/api/schema";
import { commandLine } from "@/lib/shell";
import { plural } from "@/lib/time";

export const FILTERS = [
  { value: "all", label: "All" },
  { value: "failed", label: "Failed" },
  { value: "flaky", label: "Flaky" },
  { value: "slow", label: "Slowest" },
] as const;

type TestFilter = (typeof FILTERS)[number]["value"];

export const STATES = {
  passed: "done",
  failed: "error",
  skipped: "skipped",
  flaky: "warning",
} as const satisfies Record<TestOutcome, string>;

const CHANGES = { new_failure: "new", still_failing: "still failing", fixed: "fixed" } as const;

export const OUTCOMES: Record<string, string> = {
  p: "passed",
  f: "failed",
  s: "skipped",
  x: "failed and passed",
  "-": "did not run",
};

export function filterIn(text: string | null): TestFilter {
  return FILTERS.find(({ value }) => value === text)?.value ?? "all";
}

/** The outcome of a test, and its differences from earlier pipelines. */
export function labelsOf({ outcome, change, flaky, quarantined }: PipelineTest): string {
  return [
    outcome,
    ...(change === null ? [] : [CHANGES[change]]),
    ...(flaky && outcome !== "flaky" ? ["flaky"] : []),
    ...(quarantined ? ["quarantined"] : []),
  ].join(", ");
}

/** The command that quarantines a test of a pipeline's program. */
export function quarantineCommand(id: string, test: string): string {
  const words = ["--quarantine", test, "--until", "14d", "--reason", "TEXT"];
  return commandLine("conducto", "tests", id, ...words);
}

/** The numbers of tests, such as "12 tests: 2 failed (1 new), 10 passed". */
export function summaryOf(tests: PipelineTests): string {
  const { passed, failed, skipped, flaky } = tests.counts;
  const isNew = tests.new_failures > 0 ? ` (${tests.new_failures.toLocaleString("en")} new)` : "";
  const parts = [
    ...(failed > 0 ? [`${failed.toLocaleString("en")} failed${isNew}`] : []),
    ...(tests.quarantined > 0 ? [`${tests.quarantined.toLocaleString("en")} quarantined`] : []),
    ...(tests.fixed > 0 ? [`${tests.fixed.toLocaleString("en")} fixed`] : []),
    ...(flaky > 0 ? [`${flaky.toLocaleString("en")} flaky`] : []),
    `${passed.toLocaleString("en")} passed`,
    ...(skipped > 0 ? [`${skipped.toLocaleString("en")} skipped`] : []),
  ];
  return `${plural(passed + failed + skipped + flaky, "test")}: ${parts.join(", ")}`;
}
