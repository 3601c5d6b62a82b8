import { expect, it } from "vitest";

import type { PipelineSummary } from "@/api/schema";
import { moment } from "@/lib/time";
import { pauseNote, pauseText } from "@/run/model/paused";
import { NO_COUNTS } from "@/run/model/states";

function summary(armed: boolean, settled: boolean, runAt: number | null = null, running = 0) {
  const counts = { ...NO_COUNTS, running };
  return { pipeline: { armed, run_at: runAt }, settled, counts } as unknown as PipelineSummary;
}

it("reports running commands of a paused pipeline", () => {
  const paused = summary(false, false, null, 1200);
  expect(pauseText(paused)).toBe("Paused, 1,200 still running");
  expect(pauseNote(paused)).toBe("1,200 still running");
});

it("reports a scheduled start", () => {
  const waiting = summary(false, false, 1_800_000_000);
  expect(pauseText(waiting)).toBe(`Starts ${moment(1_800_000_000)}`);
  expect(pauseNote(waiting)).toBe(`starts ${moment(1_800_000_000)}`);
});

it("reports how many commands are left, and nothing for a running pipeline", () => {
  const stopped = { ...summary(false, true), started: 1 };
  stopped.counts.pending = 7;
  expect(pauseText({ ...stopped, started: null })).toBe("Not started");
  expect(pauseText(stopped)).toBe("Paused");
  expect(pauseNote(stopped)).toBe("7 commands to run");
  expect(pauseText(summary(true, false))).toBe("");
  expect(pauseNote(summary(true, false))).toBeNull();
});
