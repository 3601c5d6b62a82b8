import { describe, expect, it } from "vitest";

import type { PipelineSummary, State } from "@/api/schema";
import { headerActions, pipelineState } from "@/run/model/pipelineStatus";
import { NO_COUNTS } from "@/run/model/states";

interface Given {
  state: State;
  armed?: boolean;
  settled?: boolean;
  runAt?: number | null;
  lifecycle?: string;
  started?: number | null;
  warning?: boolean;
  counts?: Partial<typeof NO_COUNTS>;
}

function summary(given: Given): PipelineSummary {
  const { state, armed = true, settled = true, runAt = null, lifecycle = "active" } = given;
  const { started = 1, warning = false } = given;
  const counts = { ...NO_COUNTS, ...given.counts };
  const pipeline = { armed, run_at: runAt, lifecycle };
  return { pipeline, state, settled, counts, started, warning } as unknown as PipelineSummary;
}

const running = summary({ state: "running", settled: false, counts: { running: 2, pending: 3 } });
const failing = summary({
  state: "running",
  settled: false,
  counts: { running: 2, error: 1 },
});
const draining = summary({
  state: "running",
  armed: false,
  settled: false,
  counts: { running: 1, pending: 3 },
});
const notStarted = summary({
  state: "pending",
  armed: false,
  started: null,
  counts: { pending: 4 },
});
const paused = summary({ state: "pending", armed: false, counts: { done: 1, pending: 3 } });
const scheduled = summary({
  state: "pending",
  armed: false,
  settled: false,
  runAt: 5,
  counts: { pending: 4 },
});
const failed = summary({ state: "error", counts: { done: 3, error: 2 } });
const cancelled = summary({
  state: "error",
  armed: false,
  counts: { done: 3, killed: 2, pending: 4 },
});
const done = summary({ state: "done", counts: { done: 4 } });
const archived = summary({ state: "done", lifecycle: "archived", counts: { done: 4 } });

describe("pipelineState", () => {
  it("calls a pipeline that stopped starting commands paused or scheduled, not pending", () => {
    expect(pipelineState(notStarted)).toBe("pending");
    expect(pipelineState(paused)).toBe("paused");
    expect(pipelineState(draining)).toBe("paused");
    expect(pipelineState(scheduled)).toBe("scheduled");
    expect(pipelineState(running)).toBe("running");
  });

  it("calls a cancelled pipeline killed, and one with a failure failed", () => {
    expect(pipelineState(cancelled)).toBe("killed");
    expect(pipelineState(failed)).toBe("error");
    expect(pipelineState(done)).toBe("done");
    expect(pipelineState({ ...done, warning: true })).toBe("warning");
  });
});

describe("headerActions", () => {
  it("has one primary action for each state", () => {
    const primary = (one: PipelineSummary) => {
      const { primary, secondary, strong } = headerActions(one);
      return [primary, secondary, strong];
    };
    expect(primary(running)).toEqual(["cancel", "pause", false]);
    expect(primary(failing)).toEqual(["rerunFailed", "cancel", true]);
    expect(primary(draining)).toEqual(["run", "cancel", true]);
    expect(primary(notStarted)).toEqual(["run", null, true]);
    expect(primary(paused)).toEqual(["run", null, true]);
    expect(primary(scheduled)).toEqual(["run", null, true]);
    expect(primary(failed)).toEqual(["rerunFailed", null, true]);
    expect(primary(cancelled)).toEqual(["rerunKilled", null, true]);
    expect(primary(done)).toEqual(["launchAgain", null, false]);
    expect(primary(archived)).toEqual(["wake", null, false]);
  });

  it("omits actions that do not apply", () => {
    expect(headerActions(done).menu).toEqual(["rerunAll", "sleep", "archive"]);
    expect(headerActions(running).menu).toEqual(["launchAgain", "sleep", "archive"]);
    expect(headerActions(failing).menu).toEqual([
      "rerunAll",
      "pause",
      "launchAgain",
      "sleep",
      "archive",
    ]);
    expect(headerActions(cancelled).menu).toEqual([
      "rerunAll",
      "run",
      "launchAgain",
      "sleep",
      "archive",
    ]);
    expect(headerActions(archived).menu).toEqual(["launchAgain"]);
  });
});
