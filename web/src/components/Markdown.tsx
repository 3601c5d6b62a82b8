/** Sanitised Markdown from docs and commands. Loaded on demand. */

import DOMPurify from "dompurify";
import { useLayoutEffect, useMemo, useRef, useState, type RefObject } from "react";

import { servedUrl } from "@/data/api/dataUrls";
import styles from "@/components/Markdown.module.css";
import { markdownToHtml } from "@/lib/markdown";

const ALLOWED = {
  USE_PROFILES: { html: true },
  // The content security policy forbids inline styles; docs have no use for forms and frames.
  FORBID_ATTR: ["style", "id", "class", "name"],
  ALLOW_DATA_ATTR: false,
  FORBID_TAGS: ["style", "form", "input", "button", "textarea", "select", "iframe", "object"],
  // Values of these attributes are not addresses.
  ADD_URI_SAFE_ATTR: ["align", "colspan", "rowspan", "width", "height", "start", "open"],
  ALLOWED_URI_REGEXP: /^(?:https?:|mailto:|data:image\/(?:png|jpeg|gif|webp);base64,|[#/])/i,
};

function clean(text: string, below: number): string {
  const html = DOMPurify.sanitize(markdownToHtml(text), ALLOWED);
  const place = document.createElement("template");
  place.innerHTML = html;
  for (const picture of place.content.querySelectorAll("img")) showOrLink(picture);
  for (const link of place.content.querySelectorAll("a")) {
    const served = servedUrl(link.getAttribute("href") ?? "", location.origin);
    if (served !== null) link.href = served;
    link.target = "_blank";
    link.rel = "noopener noreferrer";
  }
  nestHeadings(place.content, below);
  return place.innerHTML;
}

/** Continue the headings of the page: the largest becomes one level lower than the one above. */
function nestHeadings(content: DocumentFragment, below: number): void {
  const headings = [...content.querySelectorAll("h1, h2, h3, h4, h5, h6")];
  const levelOf = (heading: Element) => Number(heading.tagName.slice(1));
  const shift = below + 1 - Math.min(...headings.map(levelOf));
  for (const heading of headings) {
    const nested = document.createElement(`h${Math.min(6, levelOf(heading) + shift)}`);
    nested.dataset.level = String(levelOf(heading));
    nested.append(...heading.childNodes);
    heading.replaceWith(nested);
  }
}

/**
 * Show images that this server or a data: URL provides; replace others with links, because the
 * content security policy blocks them.
 */
function showOrLink(picture: HTMLImageElement): void {
  const address = picture.getAttribute("src") ?? "";
  const served = servedUrl(address, location.origin);
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

/** Maximum time in ms that the parts below wait for images; those out of view load later. */
const IMAGES_MS = 1000;

/** Whether images still have an unknown height. */
function useImagesLoading(place: RefObject<HTMLElement | null>, html: string): boolean {
  const [loading, setLoading] = useState(false);
  useLayoutEffect(() => {
    const images = [...(place.current?.querySelectorAll("img") ?? [])];
    const missing = images.filter((image) => !image.complete);
    if (missing.length === 0) return;
    setLoading(true);
    const stop = () => setLoading(false);
    const timer = setTimeout(stop, IMAGES_MS);
    void Promise.allSettled(missing.map((image) => image.decode())).then(stop);
    return () => clearTimeout(timer);
  }, [place, html]);
  return loading;
}

/** `below` is the level of the heading above the text. */
export function Markdown({ text, below }: { text: string; below: number }) {
  const html = useMemo(() => clean(text, below), [text, below]);
  const place = useRef<HTMLDivElement>(null);
  const loading = useImagesLoading(place, html);
  return (
    <div
      ref={place}
      className={styles.markdown}
      data-pending={loading || undefined}
      dangerouslySetInnerHTML={{ __html: html }}
    />
  );
}
