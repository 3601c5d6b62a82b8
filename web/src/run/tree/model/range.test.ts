import { describe, expect, it } from "vitest";

import { newNode, type TreeNode } from "@/run/model/node";
import { fillGap, rangeOf, withinGap } from "@/run/tree/model/range";
import type { Row } from "@/run/tree/model/rows";

const row = (path: string): Row => ({
  kind: "node",
  key: path,
  node: newNode(path, "Exec"),
  open: null,
  level: 0,
  top: path,
});
const g = (...names: string[]) => names.map((name) => `/g/${name}`);
const node = (path: string): TreeNode => newNode(path, "Exec");

/** /g has 0 … 9; 0 and 1 are loaded, 8 failed, 5 and 9 were found. */
function shown() {
  const group = newNode("/g", "Parallel");
  group.children = {
    first: g("0", "1").map(node),
    beyond: g("8", "5", "9").map(node),
    next: "/g/1",
    loaded: true,
  };
  const more: Row = { kind: "more", key: "/g more", group, level: 2 };
  const before = ["/", "/g", ...g("8", "0", "1")].map(row);
  const after = [...g("5", "9"), "/h"].map(row);
  return { group, front: [node("/g/8")], rows: [...before, more, ...after] };
}

describe("a range", () => {
  it("without a gap contains its rows, in either direction", () => {
    const { rows } = shown();
    expect(rangeOf(rows, "/g/1", "/g/8")).toEqual({ paths: g("8", "0", "1"), gaps: [] });
    expect(rangeOf(rows, "/g/8", "/g/8").paths).toEqual(g("8"));
  });

  it("with one missing end contains the other end", () => {
    expect(rangeOf(shown().rows, "/gone", "/g/1").paths).toEqual(g("1"));
    expect(rangeOf(shown().rows, "/gone", "/gone").paths).toEqual([]);
  });

  it("across a gap contains unloaded nodes up to its end, in definition order", () => {
    const { rows, front } = shown();
    const { paths, gaps } = rangeOf(rows, "/g/1", "/g/5");
    const [gap] = gaps;
    expect(gap?.end).toBe("/g/5");
    if (gap === undefined) return;
    expect(fillGap(paths, gap, front, g("2", "3", "4", "5"))).toEqual(g("1", "5", "2", "3", "4"));
  });

  it("excludes failures below its end that are shown above it", () => {
    const { rows, front } = shown();
    const { paths, gaps } = rangeOf(rows, "/g/0", "/g/9");
    const [gap] = gaps;
    if (gap === undefined) throw new Error("there is a gap");
    const selected = fillGap(paths, gap, front, g("2", "3", "4", "5", "6", "7", "8", "9"));
    expect(selected.toSorted()).toEqual(g("0", "1", "2", "3", "4", "5", "6", "7", "9"));
  });

  it("between two nodes beyond the loaded range contains the nodes between them", () => {
    const { rows, front } = shown();
    const { paths, gaps } = rangeOf(rows, "/g/9", "/g/5");
    const [gap] = gaps;
    expect(gap).toMatchObject({ begin: "/g/5", end: "/g/9" });
    if (gap === undefined) return;
    const listed = g("2", "3", "4", "5", "6", "7", "8", "9").map((path) => ({ path }));
    const { inside, over } = withinGap(gap, listed, false);
    expect([inside.map((one) => one.path), over]).toEqual([g("5", "6", "7", "8", "9"), true]);
    const selected = fillGap(paths, gap, front, g("5", "6", "7", "8", "9"));
    expect(selected.toSorted()).toEqual(g("5", "6", "7", "9"));
    expect(rangeOf(rows, "/g/9", "/g/9").gaps).toEqual([]);
  });

  it("is the same if the later node is shown first", () => {
    const gap = { group: shown().group, begin: "/g/9", end: "/g/5" };
    const pages = [g("2", "3", "4"), g("5", "6"), g("7", "8", "9", "10")];
    let started = false;
    const found = pages.map((page) => {
      const list = page.map((path) => ({ path }));
      const { inside, over } = withinGap(gap, list, started);
      started ||= inside.length > 0;
      return [inside.map((one) => one.path), over];
    });
    expect(found).toEqual([
      [[], false],
      [g("5", "6"), false],
      [g("7", "8", "9"), true],
    ]);
  });

  it("that starts below a found row excludes that row", () => {
    const { rows, front } = shown();
    rows.splice(7, 0, row("/g/5/x"));
    const { paths, gaps } = rangeOf(rows, "/g/5/x", "/h");
    const [gap] = gaps;
    expect(gap).toMatchObject({ begin: "/g/5", end: null });
    if (gap === undefined) return;
    const selected = fillGap(paths, gap, front, g("5", "6", "7", "8", "9"));
    expect(selected.toSorted()).toEqual([...g("5/x", "6", "7", "9"), "/h"]);
  });

  it("that leaves the group contains the rest of it", () => {
    const { rows, front } = shown();
    const { paths, gaps } = rangeOf(rows, "/g/1", "/h");
    const [gap] = gaps;
    expect(gap?.end).toBeNull();
    if (gap === undefined) return;
    const selected = fillGap(paths, gap, front, g("2", "3", "4", "5", "6", "7", "8", "9"));
    expect(selected.toSorted()).toEqual([...g("1", "2", "3", "4", "5", "6", "7", "9"), "/h"]);
  });
});
