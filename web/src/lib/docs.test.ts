import { existsSync, readdirSync, readFileSync } from "node:fs";

import { expect, test } from "vitest";

import { docsUrl } from "@/lib/docs";

test("a page has an address below that of the site", () => {
  expect(docsUrl("concepts/tests", "https://acme.dev/docs/")).toBe(
    "https://acme.dev/docs/concepts/tests/",
  );
  expect(docsUrl("concepts/tests", "")).toBeNull();
});

test("each page that the app names exists", () => {
  const texts = readdirSync("src", { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".tsx"))
    .map((file) => readFileSync(`src/${file}`, "utf8"));
  const pages = texts.flatMap((text) =>
    [...text.matchAll(/\bdocs="([^"]+)"/g)].map(([, at]) => at),
  );
  expect(pages.length).toBeGreaterThan(8);
  expect(pages.filter((page) => !existsSync(`../docs/${page ?? ""}.md`))).toEqual([]);
});
