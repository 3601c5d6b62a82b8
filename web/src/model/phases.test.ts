import { expect, test } from "vitest";

import type { Bar } from "@/model/lanes";
import { phasesOf, waitText } from "@/model/phases";

const WHOLE: Bar = {
  path: "/a",
  number: 1,
  state: "done",
  queued: 10,
  imageReady: 14,
  admitted: 15.2,
  waitsFor: null,
  started: 15.5,
  ended: 48.5,
  container: null,
  exitCode: 0,
};

const names = (bar: Bar, now = 100) => phasesOf(bar, now).map((phase) => phase.name);

test("an attempt waits for its image, its turn and its container, one after the other", () => {
  expect(phasesOf(WHOLE, 100)).toEqual([
    { name: "image", from: 10, to: 14 },
    { name: "turn", from: 14, to: 15.2 },
    { name: "start", from: 15.2, to: 15.5 },
  ]);
  expect(waitText(WHOLE, 100)).toBe(
    "waited 4.0s for its image, 1.2s for its turn, 0.3s for its container",
  );
});

test("what did not wait for an image begins with its turn", () => {
  expect(names({ ...WHOLE, imageReady: null })).toEqual(["turn", "start"]);
});

test("of an older attempt it is not known what it waited for", () => {
  const old = { ...WHOLE, imageReady: null, admitted: null };
  expect(names(old)).toEqual(["unknown"]);
  expect(waitText(old, 100)).toBe("waited 5.5s");
});

test("what still waits does so until now", () => {
  const queued: Bar = { ...WHOLE, state: "queued", admitted: null, started: null, ended: null };
  expect(phasesOf(queued, 20).at(-1)).toEqual({ name: "turn", from: 14, to: 20 });
  expect(phasesOf({ ...queued, admitted: 16 }, 20).at(-1)?.name).toBe("start");
  expect(names({ ...queued, imageReady: null }, 20)).toEqual(["unknown"]);
});

test("what is queued now waits for what it is said to", () => {
  const queued: Bar = {
    ...WHOLE,
    state: "queued",
    imageReady: null,
    admitted: null,
    started: null,
    ended: null,
    waitsFor: "image",
  };
  expect(phasesOf(queued, 20)).toEqual([{ name: "image", from: 10, to: 20 }]);
  expect(names({ ...queued, imageReady: 14, waitsFor: "turn" }, 20)).toEqual(["image", "turn"]);
  // Until its record is there the last word counts.
  expect(names({ ...queued, waitsFor: "turn", started: 18 }, 20)).toEqual(["turn"]);
});

test("times that go back, as when a clock was set, make no phase", () => {
  expect(names({ ...WHOLE, imageReady: 9, admitted: 15 })).toEqual(["turn", "start"]);
  expect(phasesOf({ ...WHOLE, queued: null }, 100)).toEqual([]);
  expect(waitText({ ...WHOLE, queued: null }, 100)).toBeNull();
});

test("hardly any wait is told as one", () => {
  const brisk = { ...WHOLE, queued: 15.493, imageReady: null, admitted: 15.495 };
  expect(waitText(brisk, 100)).toBe("waited 7ms");
});
