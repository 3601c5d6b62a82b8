import { expect, it } from "vitest";

import { headline, type Situation } from "@/run/model/headline";
import { NO_COUNTS } from "@/run/model/states";

const text = (counts: Partial<Situation["counts"]>, more: Partial<Situation> = {}) =>
  headline({
    state: "done",
    warning: false,
    armed: true,
    settled: true,
    remaining: null,
    reasons: null,
    approvals: 0,
    ...more,
    counts: { ...NO_COUNTS, ...counts },
  });

it("tells success, with and without warnings", () => {
  expect(text({ done: 16 })).toBe("All 16 commands succeeded.");
  expect(text({ done: 1 })).toBe("The command succeeded.");
  expect(text({ done: 4, error: 2, skipped: 2 })).toBe("Done; 2 failed commands skipped");
  expect(text({ done: 14, error: 2 }, { warning: true })).toBe("Done; 2 optional commands failed");
});

it("tells failures and their reasons", () => {
  const failed = { state: "error" } as const;
  expect(text({ done: 1941, error: 60, killed: 1 }, { ...failed, reasons: 4 })).toBe(
    "61 of 2,002 commands failed, for 4 reasons",
  );
  expect(text({ error: 1 }, { ...failed, reasons: 1 })).toBe("The command failed");
  expect(text({ killed: 2, done: 1 }, { state: "killed" })).toBe(
    "Killed: 2 of 3 commands ended early",
  );
});

it("tells progress", () => {
  const active = { state: "running", settled: false } as const;
  expect(text({ running: 2, done: 3 }, { ...active, remaining: 300 })).toBe("About 5 minutes left");
  expect(text({ running: 2, done: 3 }, active)).toBe("2 commands running");
  expect(text({ running: 2, error: 3 }, active)).toBe("3 failed so far");
  expect(text({ running: 2, pending: 3 }, { ...active, armed: false })).toBe(
    "Paused. 2 commands still running.",
  );
});

it("tells that it waits for approvals", () => {
  const active = { state: "running", settled: false } as const;
  expect(text({ queued: 1, pending: 3 }, { ...active, approvals: 1 })).toBe(
    "Waiting for an approval",
  );
  expect(text({ queued: 3 }, { ...active, approvals: 2 })).toBe("Waiting for 2 approvals");
});

it("tells that it waits for a retry", () => {
  expect(text({ pending: 2, done: 1 }, { state: "running", settled: false })).toBe(
    "Waiting for a retry",
  );
});

it("tells why nothing runs", () => {
  const paused = { state: "pending", armed: false } as const;
  expect(text({ pending: 7 }, paused)).toBe("Not started. 7 commands to run.");
  expect(text({ pending: 7, done: 1 }, paused)).toBe("Paused. 7 commands to run.");
});
