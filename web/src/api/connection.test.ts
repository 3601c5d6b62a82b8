import { afterEach, beforeEach, expect, test, vi } from "vitest";

import {
  currentOutage,
  isOffline,
  pollWhenSilent,
  reportFailure,
  reportResponse,
} from "@/api/connection";

/** A second of silence, two seconds of failed tries, and the interval of checks. */
const LIMIT_MS = 4000;
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
  reportResponse(status);
  stop = pollWhenSilent(ping, { isHidden: () => false, whenSilent: true });
});
afterEach(() => {
  stop();
  vi.useRealTimers();
});

test.each([200, 404, 500])("a server lost after a response %i is noticed in 4 s", async (last) => {
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

test("one failed request, or two within two seconds, do not count as an outage", async () => {
  reportResponse(200);
  reportFailure();
  reportFailure();
  expect(isOffline()).toBe(false);
  await vi.advanceTimersByTimeAsync(LIMIT_MS);
  reportFailure();
  await vi.advanceTimersByTimeAsync(LIMIT_MS);
  expect(isOffline()).toBe(false);
});

test("an outage counts from the first failed try, and is tried every three seconds", async () => {
  reportResponse(200);
  isUp = false;
  await vi.advanceTimersByTimeAsync(LIMIT_MS);
  const { lostAt, nextTry } = currentOutage() ?? { lostAt: NaN, nextTry: NaN };
  expect(nextTry - lostAt).toBeGreaterThanOrEqual(5000);
  pings = 0;
  await vi.advanceTimersByTimeAsync(9000);
  expect(pings).toBe(3);
  expect(currentOutage()?.lostAt).toBe(lostAt);
  isUp = true;
  await vi.advanceTimersByTimeAsync(3000);
  expect(currentOutage()).toBe(null);
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
