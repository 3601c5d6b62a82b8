/** Markdown to HTML, without anything that the content security policy forbids. Not sanitised. */

import MarkdownIt, { type StateCore, type Token } from "markdown-it";

const parser = new MarkdownIt({ html: true, linkify: true, breaks: false });
parser.core.ruler.push("alignment", alignCells);
parser.core.ruler.push("tasks", markTasks);

const TASK = /^\[([ xX])\]\s/;
const ALIGNMENT = /^text-align:(left|center|right)$/;
/** Style sheets, and the attribute that sets a style, in HTML. */
const STYLES = /<style\b[^>]*>[\s\S]*?(?:<\/style\s*>|$)/gi;
const STYLE = /(<[^>]*?\s)style\s*=/gi;

/** Strikethrough, tables and task lists included. */
export function markdownToHtml(text: string): string {
  return withoutStyles(parser.render(text));
}

/** The browser reports styles in HTML to the console as soon as it is parsed. */
function withoutStyles(html: string): string {
  let before = html.replace(STYLES, "");
  for (;;) {
    const after = before.replace(STYLE, "$1data-style=");
    if (after === before) return after;
    before = after;
  }
}

/** Align cells by an attribute instead of a style. */
function alignCells({ tokens }: StateCore): void {
  for (const token of tokens) {
    const [, side] = ALIGNMENT.exec(String(token.attrGet("style") ?? "")) ?? [];
    if (side === undefined) continue;
    token.attrs = (token.attrs ?? []).filter(([name]) => name !== "style");
    token.attrSet("align", side);
  }
}

/** Show the box of a task, `- [x] done`, as a symbol: forms are forbidden. */
function markTasks({ tokens, Token: NewToken }: StateCore): void {
  for (const [place, token] of tokens.entries()) {
    const isItem = tokens[place - 2]?.type === "list_item_open";
    const text = token.children?.[0];
    const [box, mark] = TASK.exec(text?.content ?? "") ?? [];
    if (!isItem || text === undefined || box === undefined) continue;
    text.content = text.content.slice(box.length);
    const symbol: Token = new NewToken("html_inline", "", 0);
    const [label, sign] = mark === " " ? ["to do", "☐"] : ["done", "☑"];
    symbol.content = `<span role="img" aria-label="${label}">${sign}</span> `;
    token.children?.unshift(symbol);
  }
}
