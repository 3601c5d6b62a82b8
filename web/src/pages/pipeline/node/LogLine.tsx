import { type CSSProperties, type ReactNode } from "react";

import type { Colour, Span, Style } from "@/lib/ansi";

interface Props {
  /** Counted from 0. */
  number: number;
  top: number;
  /** Undefined until loaded. */
  spans: Span[] | undefined;
  /** Text to highlight. */
  marked: string | null;
  /** The URL links to this line. */
  linked?: boolean;
  /** Link to this line, or remove the link. */
  onLink?: () => void;
  measure?: (element: HTMLElement | null) => void;
  index?: number;
}

export function LogLine(props: Props) {
  const { number, top, spans, marked, linked = false, onLink, measure, index } = props;
  return (
    <div
      className={marked === null && !linked ? "log-line" : "log-line log-line-found"}
      style={{ transform: `translateY(${top}px)` }}
      {...(measure === undefined ? {} : { ref: measure, "data-index": index })}
    >
      <span
        className={onLink === undefined ? "log-number" : "log-number log-number-link"}
        aria-hidden
        onClick={onLink}
        {...(onLink === undefined ? {} : { title: "Link to this line" })}
      >
        {number + 1}
      </span>
      <span className="log-text">
        {spans?.map((span, place) => (
          <StyledSpan key={place} span={span} marked={marked} />
        ))}
      </span>
    </div>
  );
}

function StyledSpan({ span, marked }: { span: Span; marked: string | null }) {
  const { style, text } = span;
  const names = classesOf(style);
  const css: CSSProperties = {};
  if (typeof style.fg === "string") css.color = style.fg;
  if (typeof style.bg === "string") css.backgroundColor = style.bg;
  return (
    <span {...(names === "" ? {} : { className: names })} style={css}>
      {marked === null ? text : withMark(text, marked)}
    </span>
  );
}

function classesOf(style: Style): string {
  const names: string[] = [];
  for (const flag of ["bold", "dim", "italic", "underline", "inverse"] as const) {
    if (style[flag]) names.push(`a-${flag}`);
  }
  if (isNamed(style.fg)) names.push(`a-fg-${style.fg}`);
  if (isNamed(style.bg)) names.push(`a-bg-${style.bg}`);
  return names.join(" ");
}

function isNamed(colour: Colour | null): colour is number {
  return typeof colour === "number";
}

function withMark(text: string, marked: string): ReactNode {
  const place = text.toLowerCase().indexOf(marked.toLowerCase());
  if (place < 0 || marked === "") return text;
  const end = place + marked.length;
  return (
    <>
      {text.slice(0, place)}
      <mark>{text.slice(place, end)}</mark>
      {text.slice(end)}
    </>
  );
}
