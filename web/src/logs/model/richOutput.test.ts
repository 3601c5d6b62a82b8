import { expect, test } from "vitest";

import { markdownBlocks } from "@/logs/model/richOutput";

test("blocks are extracted in order", () => {
  const output =
    "before\n<ConductoMarkdown>\n# One\n</ConductoMarkdown>\nbetween\n<ConductoMarkdown>two</ConductoMarkdown>after";
  expect(markdownBlocks(output)).toEqual(["# One", "two"]);
});

test("an incomplete block is shown", () => {
  expect(markdownBlocks("<ConductoMarkdown>\n| a |\n")).toEqual(["| a |"]);
});

test("an end tag without a start and an empty block are ignored", () => {
  expect(markdownBlocks("</ConductoMarkdown> <ConductoMarkdown> </ConductoMarkdown>")).toEqual([]);
  expect(markdownBlocks("plain")).toEqual([]);
});
