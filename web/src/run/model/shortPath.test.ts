import { expect, test } from "vitest";

import { visible } from "@/lib/visible";
import { shortAncestors, shortPath } from "@/run/model/shortPath";

test("shortens the middle of a path and keeps its leaf", () => {
  expect(shortPath("/", 20)).toBe("whole pipeline");
  expect(shortPath("/a/b", 20)).toBe("a/b");
  expect(shortPath("/first/second/third/leaf", 18)).toBe("first/…/third/leaf");
  expect(shortPath("/first/second/third/leaf", 12)).toBe("first/…/leaf");
  expect(shortPath("/first/a-leaf-that-is-long", 10)).toBe("…/a-leaf-that-is-long");
});

test("shows bidirectional and hidden characters escaped", () => {
  expect(visible("invoice\u202efdp.exe")).toBe("invoice\\u202efdp.exe");
  expect(visible("a\u2066b\u200bc")).toBe("a\\u2066b\\u200bc");
  expect(visible("naïve — ‘ok’")).toBe("naïve — ‘ok’");
});

test("a breadcrumb keeps the first and the nearest ancestors", () => {
  expect(shortAncestors("/leaf")).toEqual([]);
  expect(shortAncestors("/a/b/c/leaf")).toEqual(["/a", "/a/b", "/a/b/c"]);
  expect(shortAncestors("/a/b/c/d/e/leaf")).toEqual(["/a", null, "/a/b/c/d", "/a/b/c/d/e"]);
});
