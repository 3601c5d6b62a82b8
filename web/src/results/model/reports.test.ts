import { expect, test } from "vitest";

import type { DataEntry } from "@/api/schema";
import { MAX_REPORTS, reportsIn, wholeLines } from "@/results/model/reports";

function file(name: string, kind: DataEntry["kind"] = "file"): DataEntry {
  return { name: `reports/${name}`, kind, size: 1, modified: 0 };
}

function shown(...names: string[]): [string, string | null][] {
  return reportsIn(names.map((name) => file(name))).shown.map(({ title, node }) => [title, node]);
}

test("files are sorted by name in natural order, those of nodes last", () => {
  expect(shown("+Models+tree.md", "fold 10.md", "fold 9.md", "accuracy.markdown")).toEqual([
    ["accuracy", null],
    ["fold 9", null],
    ["fold 10", null],
    ["/Models/tree", "/Models/tree"],
  ]);
});

test("a leading plus marks the path of a node", () => {
  expect(shown("+.md", "+a%2Bb+100%25.md")).toEqual([
    ["/", "/"],
    ["/a+b/100%", "/a+b/100%"],
  ]);
});

test("other names are kept", () => {
  expect(shown("C++ 100%.MD", "+Models+so long a name%-5f3a.md")).toEqual([
    ["+Models+so long a name%-5f3a", null],
    ["C++ 100%", null],
  ]);
});

test("only Markdown files count, up to the limit", () => {
  const many = Array.from({ length: MAX_REPORTS + 3 }, (_, number) => file(`r${number}.md`));
  const { shown, more } = reportsIn([
    ...many,
    file("x.png"),
    file("d.md", "directory"),
    file("md"),
  ]);
  expect([shown.length, more]).toEqual([MAX_REPORTS, 3]);
  expect(reportsIn([file("x.png")])).toEqual({ shown: [], more: 0 });
});

test("truncated text ends with a complete line", () => {
  expect(wholeLines("one\ntwo\nthr")).toBe("one\ntwo\n");
  expect(wholeLines("one long line")).toBe("one long line");
});
