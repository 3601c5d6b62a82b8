import { expect, test } from "vitest";

import { columnsOf, groupedLanes, rowsByNode, runningAt, stepsOf } from "@/model/groupLanes";
import type { Bar } from "@/model/lanes";
import { lanesByNode } from "@/model/timeline";

function bar(path: string, started: number | null, ended: number | null, more = {}): Bar {
  return {
    path,
    number: 1,
    state: ended === null ? "running" : "done",
    queued: 0,
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

/** `groups` groups of `nodes` nodes below `top`. */
function wide(groups: number, nodes: number, top = ""): Bar[] {
  return Array.from({ length: groups * nodes }, (_, at) =>
    bar(`${top}/g${Math.floor(at / nodes)}/n${at % nodes}`, at, at + 2),
  );
}

const keys = (bars: Bar[], root = "/", max = 200) =>
  groupedLanes(lanesByNode(bars), root, 9, max).map((lane) => lane.key);

test("up to 200 nodes have rows of their own; more are grouped until all are requested", () => {
  expect(rowsByNode(wide(2, 100), "/", 9, null)).toMatchObject({ grouped: null });
  expect(rowsByNode(wide(3, 100), "/", 9, null).lanes.map((lane) => lane.key)).toEqual([
    "/g0",
    "/g1",
    "/g2",
  ]);
  const all = rowsByNode(wide(3, 100), "/", 9, "all");
  expect([all.lanes.length, all.grouped]).toEqual([300, false]);
});

test("a single group shows its nodes, and itself on request", () => {
  const flat = wide(1, 300).map((one) => ({ ...one, path: one.path.slice(3) }));
  expect(rowsByNode(flat, "/", 9, null)).toMatchObject({ grouped: false });
  const { lanes, grouped } = rowsByNode(flat, "/", 9, "groups");
  expect([grouped, lanes.map((lane) => lane.key)]).toEqual([true, ["/"]]);
});

test("the deepest level with at most that many rows is used", () => {
  const deep = [...wide(3, 4, "/a"), ...wide(3, 4, "/b")];
  expect(keys(deep, "/", 5)).toEqual(["/a", "/b"]);
  expect(keys(deep, "/", 6)).toHaveLength(6);
  expect(keys(wide(3, 4, "/a"), "/a", 2)).toEqual(["/a"]);
});

test("a node next to groups keeps its bars", () => {
  const bars = [bar("/first", 0, 1), ...wide(2, 3)];
  const [first, group] = groupedLanes(lanesByNode(bars), "/", 9, 3);
  expect(first).toMatchObject({ key: "/first", bars: [{ path: "/first" }] });
  expect(group).toMatchObject({ key: "/g0", bars: [], group: { nodes: 3, attempts: 3, peak: 2 } });
});

test("running commands are counted over time, without overlap of consecutive ones", () => {
  const steps = stepsOf([bar("/a", 1, 4), bar("/b", 2, null), bar("/c", 4, 5)], 10);
  expect([0, 1, 2.5, 4, 6, 10].map((time) => runningAt(steps, time))).toEqual([0, 1, 2, 2, 1, 0]);
  expect(stepsOf([bar("/a", null, null)], 10)).toEqual({ times: [], counts: [] });
});

test("attempts without duration are counted", () => {
  expect(Math.max(...stepsOf([bar("/a", 3, 3), bar("/b", 3, 3)], 10).counts)).toBe(2);
});

test("a column shows the maximum within it", () => {
  const steps = stepsOf([bar("/a", 0, 4), bar("/b", 1.2, 1.4), bar("/c", 6, 8)], 10);
  expect(columnsOf(steps, { from: 0, to: 10 }, 10)).toEqual([1, 2, 1, 1, 0, 0, 1, 1, 0, 0]);
  expect(columnsOf(steps, { from: 2, to: 4 }, 2)).toEqual([1, 1]);
});

test("the failures of all attempts are recorded with their times", () => {
  const failed = { state: "error", number: 1 };
  const bars = [bar("/g/a", 0, 7, failed), bar("/g/a", 8, 9, { number: 2 })];
  bars.push(bar("/g/b", 0, 3, { state: "killed" }));
  const [lane] = groupedLanes(lanesByNode(bars), "/", 10, 1);
  expect(lane?.group).toMatchObject({ nodes: 2, attempts: 3, failures: [3, 7] });
});

test("fifty thousand attempts are grouped", () => {
  expect(keys(wide(100, 500))).toHaveLength(100);
});
