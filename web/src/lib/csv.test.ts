import { expect, test } from "vitest";

import { parseTable } from "@/lib/csv";

test("quotes hold separators, line ends and doubled quotes", () => {
  expect(parseTable('a,b\n"x, y","1\n2"\n"say ""hi""",\n', ",", 100)).toEqual([
    ["a", "b"],
    ["x, y", "1\n2"],
    ['say "hi"', ""],
  ]);
});

test("line ends of Windows and a missing last one are fine", () => {
  expect(parseTable("a\tb\r\nc\td", "\t", 100)).toEqual([
    ["a", "b"],
    ["c", "d"],
  ]);
});

test("a file that ends with a separator has an empty last cell", () => {
  expect(parseTable("a,", ",", 100)).toEqual([["a", ""]]);
});

test("only so many rows are read, and a quote that never ends is the rest", () => {
  expect(parseTable("1\n2\n3\n", ",", 2)).toEqual([["1"], ["2"]]);
  expect(parseTable('"open', ",", 2)).toEqual([["open"]]);
  expect(parseTable("", ",", 2)).toEqual([]);
});
