import { expect, test } from "vitest";

import type { DataEntry } from "@/api/schema";
import { MOST_REPORTS, reportsIn, wholeLines } from "@/model/reports";

function file(name: string, kind: DataEntry["kind"] = "file"): DataEntry {
  return { name: `reports/${name}`, kind, size: 1, modified: 0 };
}

function shown(...names: string[]): [string, string | null][] {
  return reportsIn(names.map((name) => file(name))).shown.map(({ title, node }) => [title, node]);
}

test("files are in the order of their names, as people count, and those of nodes come last", () => {
  expect(shown("+Models+tree.md", "fold 10.md", "fold 9.md", "accuracy.markdown")).toEqual([
    ["accuracy", null],
    ["fold 9", null],
    ["fold 10", null],
    ["/Models/tree", "/Models/tree"],
  ]);
});

test("a name that begins with a plus is the path of a node", () => {
  expect(shown("+.md", "+a%2Bb+100%25.md")).toEqual([
    ["/", "/"],
    ["/a+b/100%", "/a+b/100%"],
  ]);
});

test("other names are what they are", () => {
  expect(shown("C++ 100%.MD", "+Models+so long a name%-5f3a.md")).toEqual([
    ["+Models+so long a name%-5f3a", null],
    ["C++ 100%", null],
  ]);
});

test("only markdown counts, and no more of it than a page can hold", () => {
  const many = Array.from({ length: MOST_REPORTS + 3 }, (_, number) => file(`r${number}.md`));
  const { shown, more } = reportsIn([
    ...many,
    file("x.png"),
    file("d.md", "directory"),
    file("md"),
  ]);
  expect([shown.length, more]).toEqual([MOST_REPORTS, 3]);
  expect(reportsIn([file("x.png")])).toEqual({ shown: [], more: 0 });
});

test("a text that was cut ends with a whole line", () => {
  expect(wholeLines("one\ntwo\nthr")).toBe("one\ntwo\n");
  expect(wholeLines("one long line")).toBe("one long line");
});
