import { expect, test } from "vitest";

import { markdownBlocks } from "@/model/richOutput";

test("blocks are taken out of what stands around them, in order", () => {
  const output =
    "before\n<ConductoMarkdown>\n# One\n</ConductoMarkdown>\nbetween\n<ConductoMarkdown>two</ConductoMarkdown>after";
  expect(markdownBlocks(output)).toEqual(["# One", "two"]);
});

test("a block that is still being printed is shown as far as it is", () => {
  expect(markdownBlocks("<ConductoMarkdown>\n| a |\n")).toEqual(["| a |"]);
});

test("an end without a beginning, and an empty block, are nothing", () => {
  expect(markdownBlocks("</ConductoMarkdown> <ConductoMarkdown> </ConductoMarkdown>")).toEqual([]);
  expect(markdownBlocks("plain")).toEqual([]);
});
