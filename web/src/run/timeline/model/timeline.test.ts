import { expect, test } from "vitest";

import type { AttemptRecord, ImageRecord, NodeChange, NodeView } from "@/api/schema";
import type { Bar } from "@/run/timeline/model/lanes";
import {
  barAt,
  extentOf,
  lanesByNode,
  lanesByWorker,
  Timeline,
} from "@/run/timeline/model/timeline";
import { padded, panned, ticks, tickText, zoomed } from "@/run/timeline/model/timescale";

function bar(path: string, queued: number, started: number, ended: number | null, more = {}): Bar {
  return {
    path,
    number: 1,
    state: ended === null ? "running" : "done",
    queued,
    imageReady: null,
    admitted: null,
    waitsFor: null,
    started,
    ended,
    container: null,
    exitCode: 0,
    ...more,
  };
}

function change(state: NodeChange["state"], time: number, attempt = 1, path = "/a"): NodeChange {
  return {
    path,
    state,
    time,
    attempt,
    type: "Exec",
    seq: 1,
    cause: null,
    exit_code: state === "error" ? 3 : null,
    output_bytes: null,
    skipped: false,
    warning: false,
  };
}

const paths = (bars: readonly Bar[]) => bars.map((one) => one.path);

test("a queued attempt has a bar after a reload, which its events continue", () => {
  const timeline = new Timeline();
  const view = { path: "/a", state: "queued", wait_since: 3, wait_kind: "approval", attempts: [] };
  timeline.add("/a", []);
  timeline.addQueued(view as unknown as NodeView);
  timeline.addQueued(view as unknown as NodeView);
  expect(timeline.barsOf("/a")).toMatchObject([
    { number: 1, state: "queued", queued: 3, waitsFor: "approval" },
  ]);
  timeline.apply(change("running", 9, 2));
  expect(timeline.barsOf("/a")).toMatchObject([
    { number: 2, state: "running", queued: 3, started: 9 },
  ]);
  expect(timeline.size).toBe(1);
});

test("changes of a node create a bar per attempt", () => {
  const timeline = new Timeline();
  for (const one of [change("queued", 1), change("running", 2), change("error", 5)]) {
    timeline.apply(one);
  }
  timeline.apply(change("pending", 6));
  timeline.apply(change("queued", 7, 2));
  expect(timeline.size).toBe(2);
  expect(timeline.barsOf("/a")).toMatchObject([
    { number: 1, state: "error", queued: 1, started: 2, ended: 5, exitCode: 3 },
    { number: 2, state: "queued", queued: 7, started: null },
  ]);
});

test("later changes do not move the end of a finished attempt", () => {
  const timeline = new Timeline();
  timeline.apply(change("running", 2));
  timeline.apply(change("error", 5));
  timeline.apply({ ...change("error", 99), skipped: true });
  expect(timeline.barsOf("/a")[0]?.ended).toBe(5);
});

test("changes of groups and of old attempts create no bars", () => {
  const timeline = new Timeline();
  timeline.apply({ ...change("running", 2), type: "Serial" });
  timeline.apply(change("running", 2, 0));
  expect(timeline.size).toBe(0);
  timeline.apply(change("running", 2, 3));
  expect(timeline.apply(change("done", 2, 2))).toBeNull();
});

test("records from the server replace known attempts", () => {
  const timeline = new Timeline();
  timeline.apply(change("running", 2));
  const record = { path: "/a", number: 1, state: "done", started: 2, ended: 3, container: "c" };
  timeline.add("/a", [record as AttemptRecord]);
  timeline.add("/b", []);
  expect(timeline.size).toBe(1);
  expect([...timeline.bars()][0]?.container).toBe("c");
});

test("a queued attempt is kept when records arrive", () => {
  const timeline = new Timeline();
  timeline.apply(change("queued", 4, 2));
  const record = { path: "/a", number: 1, state: "done", started: 2, ended: 3, container: "c" };
  timeline.add("/a", [record as AttemptRecord]);
  expect(timeline.barsOf("/a").map((one) => one.number)).toEqual([1, 2]);
  expect(timeline.size).toBe(2);
  expect(timeline.hasQueued).toBe(true);
  timeline.apply(change("pending", 5, 1));
  expect(timeline.barsOf("/a").map((one) => one.number)).toEqual([1]);
  expect(timeline.size).toBe(1);
  expect(timeline.hasQueued).toBe(false);
});

test("an attempt that is reset before it starts has no bar", () => {
  const timeline = new Timeline();
  timeline.apply(change("queued", 1));
  timeline.apply(change("pending", 2, 0));
  expect(timeline.size).toBe(0);
});

test("a queued bar gets its wait reason and the known times", () => {
  const timeline = new Timeline();
  timeline.apply(change("queued", 1));
  const image = { name: "tools", ended: 4 } as ImageRecord;
  const say = (kind: NodeView["wait_kind"], time: number, images = [image]) => {
    const view = { path: "/a", image: "tools", wait_kind: kind } as NodeView;
    timeline.updateWaits([view], images, time);
    return timeline.barsOf("/a")[0];
  };
  expect(say("image", 2, [])).toMatchObject({ waitsFor: "image" });
  expect(say("turn", 5)).toMatchObject({ waitsFor: "turn", imageReady: 4 });
  expect(say("start", 7)).toMatchObject({ waitsFor: "start", admitted: 7 });
  timeline.apply(change("running", 8));
  expect(say("turn", 9)).toMatchObject({ waitsFor: "start" });
});

test("each container has a row, and overlapping processes use several", () => {
  const lanes = lanesByWorker(
    [
      bar("/a", 0, 0, 4),
      bar("/b", 0, 1, 3),
      bar("/c", 0, 3.5, 5),
      bar("/d", 0, 2, 3, { container: "one" }),
      bar("/e", 0, 4, 6, { container: "one" }),
    ],
    10,
  );
  expect(lanes.map((lane) => [lane.label, paths(lane.bars)])).toEqual([
    ["process 1", ["/a"]],
    ["process 2", ["/b", "/c"]],
    ["one", ["/d", "/e"]],
  ]);
});

test("a waiting node has a row by node but none by worker", () => {
  const waiting: Bar = { ...bar("/a", 1, 1, null), started: null, state: "queued" };
  expect(lanesByNode([waiting])).toHaveLength(1);
  expect(lanesByWorker([waiting], 9)).toHaveLength(0);
  expect(extentOf([waiting], 9)).toEqual({ from: 1, to: 9 });
  expect(extentOf([], 9)).toBeNull();
});

test("ten thousand attempts are sorted", () => {
  const bars = Array.from({ length: 10_000 }, (_, n) =>
    bar(`/g/n${n}`, n / 10, n / 10, n / 10 + 1),
  );
  expect(lanesByWorker(bars, 2000)).toHaveLength(10);
});

test("a bar is found at its time, a short one also nearby", () => {
  const lane = { key: "/a", label: "/a", bars: [bar("/a", 1, 1, 2), bar("/a", 5, 5, 5)] };
  expect(barAt(lane, 1.5, 0, 9)).toBe(lane.bars[0]);
  expect(barAt(lane, 5.2, 0.3, 9)).toBe(lane.bars[1]);
  expect(barAt(lane, 3.5, 0.3, 9)).toBeNull();
});

test("zooming keeps the time under the pointer and stays within the range", () => {
  const whole = { from: 0, to: 100 };
  expect(zoomed(whole, whole, 0.5, 50)).toEqual({ from: 25, to: 75 });
  expect(zoomed({ from: 25, to: 75 }, whole, 4, 50)).toEqual(whole);
  expect(zoomed(whole, whole, 0.1, 100)).toEqual({ from: 90, to: 100 });
  expect(panned({ from: 90, to: 100 }, whole, 3)).toEqual({ from: 90, to: 100 });
  expect(panned({ from: 90, to: 100 }, whole, -0.5)).toEqual({ from: 85, to: 95 });
  expect(padded({ from: 5, to: 5 }).to).toBeGreaterThan(5);
});

test("ticks are at round offsets from the start", () => {
  expect(ticks({ from: 0, to: 100 }, 0, 8)).toEqual({ step: 15, at: [0, 15, 30, 45, 60, 75, 90] });
  expect(ticks({ from: 10.2, to: 10.9 }, 10, 8).at).toHaveLength(8);
  expect(tickText(0.25, 0.05)).toBe("+0.25s");
  expect(tickText(125, 5)).toBe("+2:05");
  expect(tickText(3725, 60)).toBe("+1:02:05");
  expect(tickText(176_400, 3600)).toBe("+2d 1:00");
});
