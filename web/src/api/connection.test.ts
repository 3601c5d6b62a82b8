import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { isOffline, pollWhenSilent, reportFailure, reportResponse } from "@/api/connection";

const LIMIT_MS = 2000;
let pings = 0;
let isUp = true;
let status = 200;
let stop: () => void;

/** Reports like a request of the API client. */
function ping(): Promise<void> {
  pings += 1;
  if (isUp) reportResponse(status);
  else reportFailure();
  return Promise.resolve();
}

beforeEach(() => {
  vi.useFakeTimers();
  [pings, isUp, status] = [0, true, 200];
  stop = pollWhenSilent(ping, () => false);
});
afterEach(() => {
  stop();
  vi.useRealTimers();
});

test.each([200, 404, 500])("a server lost after a response %i is noticed in 2 s", async (last) => {
  for (let delay = 0; delay < 1000; delay += 90) {
    await vi.advanceTimersByTimeAsync(delay);
    isUp = true;
    reportResponse(last);
    isUp = false;
    await vi.advanceTimersByTimeAsync(LIMIT_MS);
    expect(isOffline()).toBe(true);
  }
});

test("a server is noticed to be lost on a page that never sent a request", async () => {
  isUp = false;
  await vi.advanceTimersByTimeAsync(LIMIT_MS);
  expect(isOffline()).toBe(true);
  isUp = true;
  await vi.advanceTimersByTimeAsync(LIMIT_MS);
  expect(isOffline()).toBe(false);
});

test("requests of the page replace polls, and nothing is sent without a session", async () => {
  for (let time = 0; time < 5000; time += 400) {
    reportResponse(200);
    await vi.advanceTimersByTimeAsync(400);
  }
  expect(pings).toBe(0);
  status = 401;
  await vi.advanceTimersByTimeAsync(10_000);
  expect(pings).toBe(1);
});
