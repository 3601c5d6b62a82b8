/** Markdown of people and programs, in a chunk of its own. Nothing in it is ever executed. */

import DOMPurify from "dompurify";
import MarkdownIt from "markdown-it";
import { useMemo } from "react";

import { servedAt } from "@/api/dataUrls";

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
  for (const picture of place.content.querySelectorAll("img")) showOrLink(picture);
  for (const link of place.content.querySelectorAll("a")) {
    const served = servedAt(link.getAttribute("href") ?? "", location.origin);
    if (served !== null) link.href = served;
    link.target = "_blank";
    link.rel = "noopener noreferrer";
  }
  return place.innerHTML;
}

/** Pictures of ours are shown; of others there is a link, as the policy of the page has it. */
function showOrLink(picture: HTMLImageElement): void {
  const address = picture.getAttribute("src") ?? "";
  const served = servedAt(address, location.origin);
  if (served !== null) {
    picture.src = served;
    picture.loading = "lazy";
  } else if (!address.startsWith("data:")) {
    const link = document.createElement("a");
    link.href = address;
    link.textContent = picture.alt === "" ? address : picture.alt;
    picture.replaceWith(link);
  }
}

export function Markdown({ text }: { text: string }) {
  const html = useMemo(() => clean(text), [text]);
  return <div className="markdown" dangerouslySetInnerHTML={{ __html: html }} />;
}
