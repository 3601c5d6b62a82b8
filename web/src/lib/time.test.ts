import { expect, it } from "vitest";

import { ago, bytes, duration, elapsed, plural } from "@/lib/time";

it("writes durations as people read them", () => {
  const written = [0.04, 0.44, 9.96, 59.4, 65, 3661, 90_000].map(duration);
  expect(written).toEqual(["40ms", "0.4s", "10.0s", "59s", "1m 05s", "1h 01m", "1d 1h"]);
});

it("counts from the start to the end, or until now", () => {
  expect(elapsed(10, 12, 99)).toBe(2);
  expect(elapsed(10, null, 15)).toBe(5);
  expect(elapsed(null, null, 15)).toBeNull();
});

it("writes sizes, counts and distances in time", () => {
  expect([512, 1500, 12_000_000].map(bytes)).toEqual(["512 B", "1.5 kB", "12 MB"]);
  expect([1, 1200].map((count) => plural(count, "Exec"))).toEqual(["1 Exec", "1,200 Execs"]);
  expect([10, 300, 90_000].map((past) => ago(0, past))).toEqual([
    "just now",
    "5 min ago",
    "yesterday",
  ]);
});
