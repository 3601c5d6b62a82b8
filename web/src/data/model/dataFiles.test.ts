import { expect, test } from "vitest";

import { crumbsOf, directoryOf, imageType, joined, previewKind } from "@/data/model/dataFiles";

const TEXT = new TextEncoder().encode("a,b\n1,2\n");
const BINARY = new Uint8Array([0x7f, 0x45, 0, 1]);

test("the extension selects the preview, in any case", () => {
  expect(previewKind("out/Table.CSV", TEXT)).toBe("table");
  expect(previewKind("a.tsv", TEXT)).toBe("table");
  expect(previewKind("plot.PNG", BINARY)).toBe("image");
  expect(previewKind("README.md", TEXT)).toBe("markdown");
  expect(previewKind("no_ending", TEXT)).toBe("text");
});

test("files with zero bytes are not text, whatever their name", () => {
  expect(previewKind("model.csv", BINARY)).toBe("none");
  expect(previewKind("page.html", TEXT)).toBe("text");
});

test("an HTML file is never an image", () => {
  expect(imageType("evil.html")).toBeNull();
  expect(imageType("png")).toBeNull();
});

test("names are split and joined", () => {
  expect(crumbsOf("a/b")).toEqual([
    { label: "a", name: "a" },
    { label: "b", name: "a/b" },
  ]);
  expect(crumbsOf("")).toEqual([]);
  expect(directoryOf("a/b/c")).toBe("a/b");
  expect(directoryOf("c")).toBe("");
  expect(joined("", "c")).toBe("c");
  expect(joined("a", "c")).toBe("a/c");
});
