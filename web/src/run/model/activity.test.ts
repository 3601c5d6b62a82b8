import { expect, it } from "vitest";

import { activeTime, wallText } from "@/run/model/activity";

const DAY = 86_400;
const run = { settled: true, started: 0, ended: DAY, active_seconds: 5, active_since: null };

it("excludes the time between two runs and reports it separately", () => {
  expect(activeTime(run, 2 * DAY)).toBe(5);
  expect(wallText(run, 2 * DAY)).toBe("5.0s active, 1d 0h from first start to last end");
});

it("continues while a run is active", () => {
  const going = { ...run, settled: false, active_since: DAY };
  expect(activeTime(going, DAY + 7)).toBe(12);
});

it("falls back to start and end without active seconds", () => {
  expect(activeTime({ ...run, active_seconds: null }, 2 * DAY)).toBe(DAY);
  expect(wallText({ ...run, active_seconds: null }, 2 * DAY)).toBeNull();
});

it("is null for a pipeline that never started", () => {
  expect(activeTime({ ...run, started: null }, 1)).toBeNull();
});
