import { expect, test } from "vitest";

import type { ProgramPartitions } from "@/api/schema";
import {
  type Column,
  columnsOf,
  columnText,
  countsOf,
  headings,
  placeOf,
} from "@/partitions/model/partitions";

/** A column that must exist. */
function at({ columns }: { columns: Column[] }, place: number): Column {
  const column = columns[place];
  if (column === undefined) throw new Error(`there is no column ${place}`);
  return column;
}

function days(count: number, states: (index: number) => string): ProgramPartitions {
  const start = Date.UTC(2026, 0, 1);
  const keys = Array.from({ length: count }, (_, index) =>
    new Date(start + index * 86_400_000).toISOString().slice(0, 10),
  );
  const letters = keys.map((_, index) => states(index)).join("");
  return {
    partitions: { kind: "daily", start: "2026-01-01", zone: "UTC" },
    pipeline: "abc-def",
    keys,
    states: letters,
    steps: [{ name: "load", states: letters.replaceAll("m", "-") }],
    places: [{ pipeline: "abc-def", parent: "/" }],
    at: keys.map((_, index) => (states(index) === "m" ? -1 : 0)),
    more: 0,
    complete: true,
  };
}

test("each partition is a column if there are few", () => {
  const found = days(120, (index) => (index === 3 ? "f" : "d"));
  const map = columnsOf(found, null);
  expect([map.unit, map.columns.length]).toEqual(["partition", 120]);
  expect(columnText(found, at(map, 3))).toBe("2026-01-04: failed at load");
});

test("more partitions share weeks with the worst state and the counts", () => {
  const found = days(200, (index) => (index === 10 ? "f" : index > 190 ? "m" : "d"));
  const map = columnsOf(found, null);
  expect(map.unit).toBe("week");
  expect(at(map, 0).end).toBe(4); // 2026-01-01 is a Thursday
  expect(at(map, 1).state).toBe("f");
  expect(found.keys[at(map, 1).worst]).toBe("2026-01-11");
  expect(columnText(found, at(map, 1))).toBe("2026-01-05 to 2026-01-11: 1 failed, 6 done");
});

test("a filter keeps partitions in a state", () => {
  const found = days(30, (index) => (index % 10 === 0 ? "m" : "d"));
  expect(columnsOf(found, "m").columns.map(({ first }) => first)).toEqual([0, 10, 20]);
  expect(countsOf(found.states)).toEqual({ f: 0, s: 0, m: 3, r: 0, d: 27 });
});

test("names without times are grouped evenly", () => {
  const found = days(500, () => "d");
  const named = { ...found, keys: found.keys.map((_, index) => `shop-${index}`) };
  const { unit, columns } = columnsOf(named, null);
  expect([unit, columns.length]).toEqual(["group", 100]);
});

test("a heading is where the month changes", () => {
  const found = days(60, () => "d");
  const { columns } = columnsOf(found, null);
  expect(headings(found, columns).filter(Boolean)).toEqual(["2026-01", "2026-02", "2026-03"]);
});

test("a partition is a node of a backfill", () => {
  const found = days(2, (index) => (index === 0 ? "d" : "m"));
  expect(placeOf(found, 0)).toEqual({ pipeline: "abc-def", path: "/2026-01-01" });
  expect(placeOf(found, 1)).toBeNull();
});
