import { expect, it } from "vitest";

import { anchorsIn, shiftOf } from "@/model/anchor";
import { newNode } from "@/model/node";
import type { Row } from "@/model/rows";

const row = (key: string): Row => ({ kind: "node", key, node: newNode(key, "Exec"), open: null });
const rows = (keys: string) => keys.split(" ").map((key) => row(`/${key}`));
const gap: Row = { kind: "more", key: "/ more", group: newNode("/", "Parallel"), depth: 1 };
const keys = (text: string) => text.split(" ").map((key) => `/${key}`);

it("what is in view moves by what comes above it", () => {
  expect(shiftOf(keys("c d e f"), 2, rows("x y a b c d e f"))).toBe(2);
});

it("a row that leaves for the top takes nothing along", () => {
  expect(shiftOf(keys("c d e f"), 2, rows("e a b c d f"))).toBe(0);
  expect(shiftOf(keys("c d e f g h"), 2, rows("c a b d e f g h"))).toBe(0);
});

it("where each row moved for itself nothing is held", () => {
  const anchors = keys("a b c d e");
  expect(shiftOf(anchors, 0, rows("e x d x x c x x x b x x x x a"))).toBe(0);
});

it("children that come in below do not count", () => {
  expect(anchorsIn([...rows("a b"), gap, ...rows("c")], 1, 9)).toEqual(["/b"]);
  expect(anchorsIn([gap, ...rows("c")], 0, 9)).toEqual([]);
});
