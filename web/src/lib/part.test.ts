import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { Part } from "@/lib/part";

/** Tries of one request: the first, and after 0.2, 0.6 and 1.5 s. */
const TRIES = 4;

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

test("code that could not be loaded is requested again, and loaded once", async () => {
  let requests = 0;
  const load = () =>
    requests++ < TRIES ? Promise.reject(new Error("offline")) : Promise.resolve("code");
  const part = new Part(load);
  const seen: string[] = [];
  part.subscribe(() => seen.push(part.current().kind));

  const both = Promise.all([part.request(), part.request()]);
  await vi.runAllTimersAsync();
  await both;
  expect(requests).toBe(TRIES);
  expect(part.current()).toEqual({ kind: "failed", error: new Error("offline") });

  await part.request();
  await part.request();
  expect(part.current()).toEqual({ kind: "loaded", value: "code" });
  expect(requests).toBe(TRIES + 1);
  expect(seen).toEqual(["failed", "loading", "loaded"]);
});
