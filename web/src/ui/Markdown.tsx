/** Markdown of people and programs, in a chunk of its own. Nothing in it is ever executed. */

import DOMPurify from "dompurify";
import MarkdownIt from "markdown-it";
import { useMemo } from "react";

const parser = new MarkdownIt({ html: true, linkify: true, breaks: false });

const ALLOWED = {
  USE_PROFILES: { html: true },
  // The page's policy refuses styles in the document; forms and frames have no place in a doc.
  FORBID_ATTR: ["style", "id", "class", "name"],
  FORBID_TAGS: ["style", "form", "input", "button", "textarea", "select", "iframe", "object"],
  ALLOWED_URI_REGEXP: /^(?:https?:|mailto:|data:image\/(?:png|jpeg|gif|webp);base64,|[#/])/i,
};

function clean(text: string): string {
  const html = DOMPurify.sanitize(parser.render(text), ALLOWED);
  const place = document.createElement("template");
  place.innerHTML = html;
  for (const link of place.content.querySelectorAll("a")) {
    link.target = "_blank";
    link.rel = "noopener noreferrer";
  }
  return place.innerHTML;
}

export function Markdown({ text }: { text: string }) {
  const html = useMemo(() => clean(text), [text]);
  return <div className="markdown" dangerouslySetInnerHTML={{ __html: html }} />;
}
