import { expect, it } from "vitest";

import type { RunningCommand, WaitGroup } from "@/api/schema";
import {
  barLength,
  isRunFound,
  isWaitFound,
  nextStart,
  rowsOf,
  USUAL_AT,
  type UsualOf,
} from "@/activity/model/rows";

const command = (path: string, started: number, pipeline = "abc-def") =>
  ({ pipeline, path, started }) as RunningCommand;
const group = (kind: WaitGroup["kind"], pipeline = "abc-def") =>
  ({ kind, first: [{ pipeline, path: "/z" }] }) as unknown as WaitGroup;
const usual: UsualOf = new Map([
  [
    "abc-def",
    new Map([
      ["/a", { usual: 10, slow: null }],
      ["/b", { usual: 60, slow: null }],
    ]),
  ],
]);
const now = 100;
const runs = rowsOf(
  [command("/new", 99), command("/b", 50), command("/a", 80), command("/old", 10, "xyz-uvw")],
  usual,
  now,
);

it("has the worst overrun first, then the longest", () => {
  expect(runs.map((run) => run.command.path)).toEqual(["/a", "/old", "/b", "/new"]);
});

it("draws the usual time of all rows at one place, and no bar without one", () => {
  expect(runs.map(barLength)).toEqual([1, 0, (50 / 60) * USUAL_AT, 0]);
});

it("expects the next start at the first usual end of a command of the same pipeline", () => {
  expect(nextStart(group("turn"), runs)).toBe(10);
  expect(nextStart(group("turn", "xyz-uvw"), runs)).toBeNull();
  expect(nextStart(group("limit", "xyz-uvw"), runs)).toBe(10);
  expect(nextStart(group("approval"), runs)).toBeNull();
});

it("finds commands by path and pipeline, and waits by reason and path", () => {
  const run = rowsOf([{ ...command("/Tests/unit", 0), title: "Nightly" }], usual, now)[0];
  if (run === undefined) throw new Error("no row");
  expect(["", " unit ", "nightly", "abc", "nothing"].map((text) => isRunFound(run, text))).toEqual([
    true,
    true,
    true,
    true,
    false,
  ]);
  const wait = { ...group("turn"), text: "max_concurrent=1 of / is reached" };
  expect(["CONCURRENT", "/z", "image"].map((text) => isWaitFound(wait, text))).toEqual([
    true,
    true,
    false,
  ]);
});
