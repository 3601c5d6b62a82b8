import { expect, it } from "vitest";

import { activeTime, wallText } from "@/model/activity";

const DAY = 86_400;
const run = { settled: true, started: 0, ended: DAY, active_seconds: 5, active_since: null };

it("leaves out the time between two runs, and tells it separately", () => {
  expect(activeTime(run, 2 * DAY)).toBe(5);
  expect(wallText(run, 2 * DAY)).toBe("5.0s at work, 1d 0h from the first start to the last end");
});

it("goes on while something runs", () => {
  const going = { ...run, settled: false, active_since: DAY };
  expect(activeTime(going, DAY + 7)).toBe(12);
});

it("takes what an older agent tells from start to end", () => {
  expect(activeTime({ ...run, active_seconds: null }, 2 * DAY)).toBe(DAY);
  expect(wallText({ ...run, active_seconds: null }, 2 * DAY)).toBeNull();
});

it("has nothing to tell of what never began", () => {
  expect(activeTime({ ...run, started: null }, 1)).toBeNull();
});
