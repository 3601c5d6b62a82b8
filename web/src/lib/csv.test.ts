import { expect, test } from "vitest";

import { parseTable } from "@/lib/csv";

test("quoted cells may contain separators, line breaks and quotes", () => {
  expect(parseTable('a,b\n"x, y","1\n2"\n"say ""hi""",\n', ",", 100)).toEqual([
    ["a", "b"],
    ["x, y", "1\n2"],
    ['say "hi"', ""],
  ]);
});

test("Windows line breaks and a missing final one are accepted", () => {
  expect(parseTable("a\tb\r\nc\td", "\t", 100)).toEqual([
    ["a", "b"],
    ["c", "d"],
  ]);
});

test("a trailing separator adds an empty cell", () => {
  expect(parseTable("a,", ",", 100)).toEqual([["a", ""]]);
});

test("the number of rows is limited, and an unterminated quote extends to the end", () => {
  expect(parseTable("1\n2\n3\n", ",", 2)).toEqual([["1"], ["2"]]);
  expect(parseTable('"open', ",", 2)).toEqual([["open"]]);
  expect(parseTable("", ",", 2)).toEqual([]);
});
