import { type CSSProperties, type ReactNode } from "react";

import { Icon } from "@/components/Icon";
import styles from "@/components/LogLines.module.css";
import { type Colour, PLAIN, type Span, type Style } from "@/lib/ansi";

/** The first line of a group that can be closed. */
export interface GroupLine {
  title: string;
  open: boolean;
  /** Shown after the title. */
  note: string;
  onToggle: () => void;
}

interface Props {
  /** Counted from 0. */
  number: number;
  top: number;
  /** Undefined until loaded. */
  spans: Span[] | undefined;
  /** Text to highlight. */
  marked: string | null;
  /** When it was printed, and the full time. */
  time?: readonly [text: string, title: string] | null;
  /** A mark in front of the text, such as that of stderr; null leaves room for it. */
  mark?: string | null;
  group?: GroupLine | null;
  /** Shown in place of the number, after the time. */
  prefix?: ReactNode;
  /** The prefix has a text. */
  named?: boolean;
  /** The level of the line. */
  tint?: "warning" | "error" | null;
  /** How often the line was printed. */
  count?: string | null;
  /** A label at the end of the line, which is drawn as an error. */
  note?: string | null;
  /** The URL links to this line. */
  linked?: boolean;
  /** Link to this line (with Shift, up to it), or remove the link. */
  onLink?: (shift: boolean) => void;
  measure?: (element: HTMLElement | null) => void;
  index?: number;
}

export function LogLine(props: Props) {
  const { number, top, spans, marked, note = null, measure, index } = props;
  const { time, mark, group = null, onLink, prefix, count = null } = props;
  return (
    <div
      className={`${styles.line ?? ""} ${kindOf(props)}`}
      style={{ transform: `translateY(${top}px)` }}
      data-index={index}
      {...(measure === undefined ? {} : { ref: measure })}
    >
      {prefix === undefined ? (
        <span
          className={`${styles.number ?? ""} ${onLink === undefined ? "" : (styles.link ?? "")}`}
          aria-hidden
          onMouseDown={(event) => {
            if (event.shiftKey) event.preventDefault(); // keep the browser from selecting text
          }}
          onClick={(event) => onLink?.(event.shiftKey)}
          {...(onLink === undefined ? {} : { title: "Link to this line; with Shift to a range" })}
        >
          {number + 1}
        </span>
      ) : null}
      {time === undefined ? null : (
        <span className={`${styles.time ?? ""} number`} title={time?.[1]}>
          {time?.[0]}
        </span>
      )}
      {prefix}
      {mark === undefined ? null : <span className={styles.mark}>{mark}</span>}
      {group === null ? (
        <span className={styles.text}>
          {spans?.map((span, place) => (
            <StyledSpan key={place} span={span} marked={marked} />
          ))}
        </span>
      ) : (
        <GroupTitle {...group} marked={marked} />
      )}
      {count === null ? null : <span className={`${styles.count ?? ""} number`}>{count}</span>}
      {note === null ? null : <span className={styles.note}>{note}</span>}
    </div>
  );
}

function kindOf({ prefix, named, tint = null, note = null, marked, linked = false }: Props) {
  if (prefix === undefined) {
    return (note !== null ? styles.error : marked !== null || linked ? styles.found : "") ?? "";
  }
  const parts = [styles.prefixed, named === true ? "" : styles.unnamed];
  if (tint !== null) parts.push(tint === "error" ? styles.failed : styles.warning);
  if (linked) parts.push(styles.current);
  return parts.join(" ");
}

function GroupTitle({
  title,
  open,
  note,
  onToggle,
  marked,
}: GroupLine & { marked: string | null }) {
  return (
    <button type="button" className={styles.title} aria-expanded={open} onClick={onToggle}>
      <Icon name="chevron" />
      {marked === null ? title : withMark(title, marked)}
      <span className={styles.size}>{note}</span>
    </button>
  );
}

function StyledSpan({ span, marked }: { span: Span; marked: string | null }) {
  const { style, text } = span;
  return (
    <span style={cssOf(style)}>{marked === null ? linked(text) : withMark(text, marked)}</span>
  );
}

/** An address, without the punctuation behind it. */
const ADDRESS = /(https?:\/\/[^\s<>"'`]*[^\s<>"'`.,;:!?)\]}])/;

/** Text whose addresses are links. */
function linked(text: string): ReactNode {
  if (!text.includes("://")) return text;
  return text.split(ADDRESS).map((part, at) =>
    at % 2 === 0 ? (
      part
    ) : (
      <a key={at} href={part} target="_blank" rel="noopener noreferrer">
        {part}
      </a>
    ),
  );
}

function cssOf(style: Style): CSSProperties {
  if (style === PLAIN) return {};
  const css: CSSProperties = style.inverse
    ? { background: "var(--text)", color: "var(--surface)" }
    : {};
  if (style.fg !== null) css.color = cssColour(style.fg);
  if (style.bg !== null) css.background = cssColour(style.bg);
  if (style.bold) css.fontWeight = 700;
  if (style.dim) css.opacity = 0.8;
  if (style.italic) css.fontStyle = "italic";
  const lines = [style.underline ? "underline" : "", style.strike ? "line-through" : ""];
  if (style.underline || style.strike) css.textDecoration = lines.join(" ").trim();
  return css;
}

function cssColour(colour: Colour): string {
  return typeof colour === "number" ? `var(--ansi-${colour})` : colour;
}

function withMark(text: string, marked: string): ReactNode {
  const place = text.toLowerCase().indexOf(marked.toLowerCase());
  if (place < 0 || marked === "") return text;
  const end = place + marked.length;
  return (
    <>
      {linked(text.slice(0, place))}
      <mark>{text.slice(place, end)}</mark>
      {linked(text.slice(end))}
    </>
  );
}
