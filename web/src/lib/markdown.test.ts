import { expect, test } from "vitest";

import { markdownToHtml } from "@/lib/markdown";

test("cells of a table are aligned without styles", () => {
  const html = markdownToHtml("| a | b |\n|:-:|--:|\n| 1 | 2 |\n");

  expect(html).toContain('<th align="center">a</th>');
  expect(html).toContain('<td align="right">2</td>');
  expect(html).not.toContain("style");
});

test("tasks have a symbol with a name", () => {
  const html = markdownToHtml("- [x] fetch\n- [ ] publish\n- [link](/a)\n\n[x] not in a list\n");

  expect(html).toContain('<li><span role="img" aria-label="done">☑</span> fetch</li>');
  expect(html).toContain('<li><span role="img" aria-label="to do">☐</span> publish</li>');
  expect(html).toContain('<li><a href="/a">link</a></li>');
  expect(html).toContain("<p>[x] not in a list</p>");
});

test("deleted text is struck through", () => {
  expect(markdownToHtml("~~old~~ new")).toBe("<p><s>old</s> new</p>\n");
});

test("styles in HTML are removed before the browser sees them", () => {
  const html = markdownToHtml(
    '<p title="a" STYLE = "color:red" style=x>one</p>\n\n<style>p {}</style>two <b style="x">b</b>\n',
  );

  expect(html).not.toMatch(/\sstyle\s*=/i);
  expect(html).not.toContain("p {}");
  expect(html).toContain("two <b");
});

test("text about styles is kept", () => {
  expect(markdownToHtml("set style=bold")).toBe("<p>set style=bold</p>\n");
});
