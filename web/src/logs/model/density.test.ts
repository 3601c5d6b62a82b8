import { expect, test } from "vitest";

import { COLUMNS, densityOf, placeOf } from "@/logs/model/density";
import { type Line, rowsOf } from "@/logs/model/merged";

function line(path: string, time: number, more: Partial<Line> = {}): Line {
  const fixed = { attempt: 1, stream: "stdout", offset: time, level: "info" } as const;
  const none = { service: null, match: null, marker: null };
  return { ...fixed, ...none, key: `${path} ${time}`, path, time, text: `at ${time}`, ...more };
}

test("each source has a band of its colour, and errors one of their own", () => {
  const lines = [
    line("/a", 0),
    line("/b", 1),
    line("/b", 1, { key: "service", service: "db", stream: "services" }),
    line("/a", 10, { level: "error" }),
  ];
  const found = densityOf(rowsOf(lines));
  const colours = found?.bands.map(({ colour }) => colour) ?? [];
  expect(colours[0]).toBe("var(--error-fill)");
  expect(new Set(colours).size).toBe(4);
  expect(found?.bands[0]?.path).toContain(`M${(COLUMNS - 1) * 10} `);
});

test("the column with most lines is as high as the strip, one line stays visible", () => {
  const many = Array.from({ length: 400 }, (_, at) =>
    line("/a", 5, { text: `${at}`, key: `${at}` }),
  );
  const found = densityOf(rowsOf([line("/a", 0), ...many, line("/a", 9)]));
  const path = found?.bands[0]?.path ?? "";
  expect(path).toContain("V0h8");
  expect(path).toMatch(/^M0 100V88h8/);
});

test("repeated lines count, and lines of one moment have no strip", () => {
  expect(densityOf([])).toBeNull();
  expect(densityOf(rowsOf([line("/a", 3), line("/b", 3)]))).toBeNull();
});

test("a time has a place between the ends", () => {
  const range = { from: 10, until: 20 };
  expect([5, 10, 15, 99].map((time) => placeOf(range, time))).toEqual([0, 0, 0.5, 1]);
});
