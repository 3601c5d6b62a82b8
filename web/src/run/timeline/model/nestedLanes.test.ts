import { expect, test } from "vitest";

import type { Bar } from "@/run/timeline/model/lanes";
import { type NestedOptions, rowsByNode } from "@/run/timeline/model/nestedLanes";

function bar(path: string, started = 0, ended = 1): Bar {
  const waits = { queued: 0, imageReady: null, admitted: null, waitsFor: null };
  return { path, number: 1, state: "done", ...waits, started, ended, container: null, exitCode: 0 };
}

/** `groups` groups of `nodes` nodes below `top`. */
function wide(groups: number, nodes: number, top = ""): Bar[] {
  return Array.from({ length: groups * nodes }, (_, at) =>
    bar(`${top}/g${Math.floor(at / nodes)}/n${at % nodes}`, at, at + 2),
  );
}

function rows(bars: Bar[], options: Partial<NestedOptions> = {}) {
  return rowsByNode(bars, { root: "/", now: 9, rows: null, opened: new Map(), ...options });
}

/** The labels of the rows, indented; `+` marks closed groups, `-` open ones. */
function outline(bars: Bar[], options: Partial<NestedOptions> = {}): string[] {
  return rows(bars, options).lanes.map(({ label, depth = 0, open }) => {
    const mark = open === undefined ? "" : open ? "- " : "+ ";
    return " ".repeat(depth) + mark + label;
  });
}

test("nodes are below their groups, in the order of the definition", () => {
  const bars = ["/first", "/tests/a", "/tests/b", "/last"].map((path) => bar(path));
  expect(outline(bars)).toEqual(["first", "- tests", " a", " b", "last"]);
  expect(outline(bars, { opened: new Map([["/tests", false]]) })).toEqual([
    "first",
    "+ tests",
    "last",
  ]);
  expect(outline(bars.slice(1, 3), { root: "/tests" })).toEqual(["a", "b"]);
  expect(outline([bar("/")])).toEqual(["/"]);
});

test("groups with a single group share its row", () => {
  expect(outline(["/a/b/c/x", "/a/b/c/y", "/z"].map((path) => bar(path)))).toEqual([
    "- a/b/c",
    " x",
    " y",
    "z",
  ]);
});

test("a group has the totals of all nodes below it", () => {
  const [group] = rows([bar("/g/h/a", 0, 2), bar("/g/i/b", 1, 3)]).lanes;
  expect(group).toMatchObject({ key: "/g", bars: [], group: { nodes: 2, attempts: 2, peak: 2 } });
});

test("of more than 200 nodes, groups are closed until all are requested", () => {
  expect(rows(wide(2, 100))).toMatchObject({ grouped: null, lanes: { length: 202 } });
  expect(rows(wide(3, 100)).grouped).toBe(true);
  expect(outline(wide(3, 100))).toEqual(["+ g0", "+ g1", "+ g2"]);
  expect(outline(wide(3, 100), { opened: new Map([["/g1", true]]) })).toHaveLength(103);
  expect(rows(wide(3, 100), { rows: "all" })).toMatchObject({
    grouped: false,
    lanes: { length: 303 },
  });
});

test("the deepest level with at most 200 rows is open", () => {
  const deep = [...wide(20, 10, "/a"), ...wide(20, 10, "/b")];
  expect(outline(deep).slice(0, 3)).toEqual(["- a", " + g0", " + g1"]);
  expect(outline(deep)).toHaveLength(42);
});

test("a single group shows its nodes, and itself on request", () => {
  const flat = wide(1, 300).map((one) => ({ ...one, path: one.path.slice(3) }));
  expect(rows(flat)).toMatchObject({ grouped: false, lanes: { length: 300 } });
  expect(rows(flat, { rows: "groups" }).grouped).toBe(true);
  expect(outline(flat, { rows: "groups" })).toEqual(["+ /"]);
});

test("fifty thousand attempts are grouped", () => {
  expect(rows(wide(100, 500)).lanes).toHaveLength(100);
});
