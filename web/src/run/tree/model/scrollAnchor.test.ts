import { expect, it } from "vitest";

import { newNode } from "@/run/model/node";
import type { Row } from "@/run/tree/model/rows";
import { rowShift, visibleKeys } from "@/run/tree/model/scrollAnchor";

const row = (key: string): Row => ({
  kind: "node",
  key,
  node: newNode(key, "Exec"),
  open: null,
  level: 0,
  top: key,
});
const rows = (keys: string) => keys.split(" ").map((key) => row(`/${key}`));
const gap: Row = { kind: "more", key: "/ more", group: newNode("/", "Parallel"), level: 1 };
const keys = (text: string) => text.split(" ").map((key) => `/${key}`);

it("visible rows move with the rows added above them", () => {
  expect(rowShift(keys("c d e f"), 2, rows("x y a b c d e f"))).toBe(2);
});

it("a row that moves to the top does not shift the others", () => {
  expect(rowShift(keys("c d e f"), 2, rows("e a b c d f"))).toBe(0);
  expect(rowShift(keys("c d e f g h"), 2, rows("c a b d e f g h"))).toBe(0);
});

it("rows that all move differently are not followed", () => {
  const anchors = keys("a b c d e");
  expect(rowShift(anchors, 0, rows("e x d x x c x x x b x x x x a"))).toBe(0);
});

it("rows added below do not count", () => {
  expect(visibleKeys([...rows("a b"), gap, ...rows("c")], 1, 9)).toEqual(["/b"]);
  expect(visibleKeys([gap, ...rows("c")], 0, 9)).toEqual([]);
});
