import { expect, test } from "vitest";

import { condensed, diffLines } from "@/lib/diff";

const letters = (text: string) => Array.from(text);

function diff(before: string, after: string, max = 100): string | null {
  const signs = { same: " ", old: "-", new: "+" };
  const edits = diffLines(letters(before), letters(after), max);
  return edits?.map(({ kind, line }) => signs[kind] + line).join("") ?? null;
}

test("added and removed lines are marked", () => {
  expect(diff("abc", "axc")).toBe(" a-b+x c");
  expect(diff("", "ab")).toBe("+a+b");
  expect(diff("ab", "")).toBe("-a-b");
  expect(diff("", "")).toBe("");
  expect(diff("abc", "abc")).toBe(" a b c");
});

test("the edit script is minimal and transforms one into the other", () => {
  for (const [before, after, changes] of [
    ["abcabba", "cbabac", 5],
    ["xaxbxc", "abc", 3],
    ["aaaa", "aa", 2],
    ["kitten", "sitting", 5],
  ] as const) {
    const edits = diffLines(letters(before), letters(after), 100) ?? [];
    const side = (skip: string) =>
      edits.flatMap(({ kind, line }) => (kind === skip ? [] : [line])).join("");
    expect(side("new")).toBe(before);
    expect(side("old")).toBe(after);
    expect(edits.filter(({ kind }) => kind !== "same")).toHaveLength(changes);
  }
});

test("inputs that differ too much are not compared", () => {
  expect(diff("abcdef", "uvwxyz", 5)).toBeNull();
});

test("unchanged lines far from a change are omitted", () => {
  const edits = diffLines(letters("abcdefg"), letters("abcdXfg"), 10) ?? [];
  expect(condensed(edits, 1).map((edit) => edit?.line ?? "…")).toEqual([
    "…",
    "d",
    "e",
    "X",
    "f",
    "…",
  ]);
  expect(condensed([{ kind: "same", line: "a" }], 3)).toEqual([null]);
});
