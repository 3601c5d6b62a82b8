import { expect, test } from "vitest";

import type { Bar } from "@/run/timeline/model/lanes";
import { phasesOf, waitText } from "@/run/timeline/model/phases";

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

test("an attempt waits for its image, a slot and its container in turn", () => {
  expect(phasesOf(WHOLE, 100)).toEqual([
    { name: "image", from: 10, to: 14 },
    { name: "turn", from: 14, to: 15.2 },
    { name: "start", from: 15.2, to: 15.5 },
  ]);
  expect(waitText(WHOLE, 100)).toBe(
    "waited 4.0s for its image, 1.2s for a slot, 0.3s for its container",
  );
});

test("without a wait for the image, the wait for a slot comes first", () => {
  expect(names({ ...WHOLE, imageReady: null })).toEqual(["turn", "start"]);
});

test("the waits of an attempt without details are unknown", () => {
  const old = { ...WHOLE, imageReady: null, admitted: null };
  expect(names(old)).toEqual(["unknown"]);
  expect(waitText(old, 100)).toBe("waited 5.5s");
});

test("the last wait of a queued attempt lasts until now", () => {
  const queued: Bar = { ...WHOLE, state: "queued", admitted: null, started: null, ended: null };
  expect(phasesOf(queued, 20).at(-1)).toEqual({ name: "turn", from: 14, to: 20 });
  expect(phasesOf({ ...queued, admitted: 16 }, 20).at(-1)?.name).toBe("start");
  expect(names({ ...queued, imageReady: null }, 20)).toEqual(["unknown"]);
});

test("a queued attempt waits for its latest known reason", () => {
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
  // The latest reason applies until the attempt record is loaded.
  expect(names({ ...queued, waitsFor: "turn", started: 18 }, 20)).toEqual(["turn"]);
});

test("times that go backwards produce no phase", () => {
  expect(names({ ...WHOLE, imageReady: 9, admitted: 15 })).toEqual(["turn", "start"]);
  expect(phasesOf({ ...WHOLE, queued: null }, 100)).toEqual([]);
  expect(waitText({ ...WHOLE, queued: null }, 100)).toBeNull();
});

test("very short waits are merged", () => {
  const brisk = { ...WHOLE, queued: 15.493, imageReady: null, admitted: 15.495 };
  expect(waitText(brisk, 100)).toBe("waited 7ms");
});
