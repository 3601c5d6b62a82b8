import { expect, it } from "vitest";

import { ago, bytes, duration, elapsed, moment, plural, setTimeZone } from "@/lib/time";

it("formats durations", () => {
  const written = [0.04, 0.44, 9.96, 59.4, 65, 3661, 90_000].map(duration);
  expect(written).toEqual(["40ms", "0.4s", "10.0s", "59s", "1m 05s", "1h 01m", "1d 1h"]);
});

it("measures from start to end, or to now", () => {
  expect(elapsed(10, 12, 99)).toBe(2);
  expect(elapsed(10, null, 15)).toBe(5);
  expect(elapsed(null, null, 15)).toBeNull();
});

it("formats sizes, counts and relative times", () => {
  expect([512, 1500, 12_000_000].map(bytes)).toEqual(["512 B", "1.5 kB", "12 MB"]);
  expect([1, 1200].map((count) => plural(count, "command"))).toEqual([
    "1 command",
    "1,200 commands",
  ]);
  expect([10, 300, 90_000].map((past) => ago(0, past))).toEqual([
    "just now",
    "5 min ago",
    "yesterday",
  ]);
});

it("formats times in the selected time zone, as short as possible", () => {
  setTimeZone("UTC");
  const now = new Date("2026-11-24T22:00:00Z");
  const at = (text: string) => moment(new Date(text).getTime() / 1000, now);
  expect(at("2026-11-24T00:05:09Z")).toBe("00:05:09 UTC");
  expect(at("2026-11-23T09:30:00Z")).toMatch(/^(?=.*23)(?=.*09:30 UTC$)(?!.*2026)/);
  expect(at("2025-11-23T09:30:00Z")).toMatch(/2025/);
  setTimeZone(undefined);
  expect(at("2026-11-24T22:00:00Z")).not.toMatch(/UTC/);
});
