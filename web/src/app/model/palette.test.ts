import { expect, test } from "vitest";

import { type Entry, matching, moved } from "@/app/model/palette";

function entry(section: Entry["section"], label: string, more: Partial<Entry> = {}): Entry {
  return { section, id: label, label, run: () => undefined, ...more };
}

function labels(entries: readonly Entry[], text: string): string[] {
  return matching(entries, text).map((one) => one.label);
}

test("entries match by every word, sections are in order, and prefixes come first", () => {
  const entries = [
    entry("pages", "Data"),
    entry("pipelines", "nightly data import"),
    entry("pipelines", "Data import", { hint: "abc-def" }),
    entry("nodes", "/load", { found: true }),
    entry("actions", "Pause"),
    entry("node", "Download data"),
  ];

  expect(labels(entries, "data")).toEqual([
    "Download data",
    "/load",
    "Data import",
    "nightly data import",
    "Data",
  ]);
  expect(labels(entries, " Import DEF")).toEqual(["/load", "Data import"]);
  expect(labels(entries, "")).toHaveLength(6);
});

test("the selection moves around the ends", () => {
  expect([moved(0, -1, 3), moved(2, 1, 3), moved(0, 1, 3), moved(0, 1, 0)]).toEqual([2, 0, 1, 0]);
});
