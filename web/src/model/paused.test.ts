import { expect, it } from "vitest";

import type { PipelineSummary } from "@/api/schema";
import { moment } from "@/lib/time";
import { pauseText, runHint } from "@/model/paused";
import { NO_COUNTS } from "@/model/states";

function summary(armed: boolean, settled: boolean, runAt: number | null = null, running = 0) {
  const counts = { ...NO_COUNTS, running };
  return { pipeline: { armed, run_at: runAt }, settled, counts } as unknown as PipelineSummary;
}

it("says that a pipeline is paused while something still runs", () => {
  const paused = summary(false, false, null, 1200);
  expect(pauseText(paused)).toBe("paused, 1,200 still running");
  expect(runHint(paused)).toBe("nothing more starts; press Run to go on");
});

it("says when a pipeline starts by itself", () => {
  const waiting = summary(false, false, 1_800_000_000);
  expect(pauseText(waiting)).toBe(`starts ${moment(1_800_000_000)}`);
  expect(runHint(waiting)).toBe("press Run to start it now");
});

it("says that nothing runs, and nothing of one that goes on", () => {
  expect(pauseText(summary(false, true))).toBe("not running");
  expect(pauseText(summary(true, false))).toBe("");
});
