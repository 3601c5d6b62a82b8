/**
 * Parses terminal output into styled spans. Keeps colours and text styles and drops all other
 * control sequences. Of a line overwritten with carriage returns, the last version is kept.
 */

/** A palette index (0–15) or a CSS colour. */
export type Colour = number | string;

export interface Style {
  readonly fg: Colour | null;
  readonly bg: Colour | null;
  readonly bold: boolean;
  readonly dim: boolean;
  readonly italic: boolean;
  readonly underline: boolean;
  readonly strike: boolean;
  readonly inverse: boolean;
}

export interface Span {
  text: string;
  style: Style;
}

export const PLAIN: Style = {
  fg: null,
  bg: null,
  bold: false,
  dim: false,
  italic: false,
  underline: false,
  strike: false,
  inverse: false,
};

// CSI sequences; OSC and similar strings; two-character escapes; other control characters.
const CONTROL =
  /\x1b\[([0-9:;<=>?]*)[ -/]*([@-~])|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]|[\x00-\x08\x0b-\x1f\x7f]/g;

/** Parse a line that starts in `style`. Returns its spans and the style at its end. */
export function parseLine(line: string, style: Style): { spans: Span[]; style: Style } {
  const shown = overwritten(line);
  const spans: Span[] = [];
  let now = style;
  let from = 0;
  for (const match of shown.matchAll(CONTROL)) {
    if (match.index > from) spans.push({ text: shown.slice(from, match.index), style: now });
    from = match.index + match[0].length;
    if (match[2] === "m") now = select(now, match[1] ?? "");
  }
  if (from < shown.length) spans.push({ text: shown.slice(from), style: now });
  return { spans, style: now };
}

/** The style at the end of a line. */
export function styleAfter(line: string, style: Style): Style {
  if (!line.includes("\x1b[")) return style;
  let now = style;
  for (const match of line.matchAll(CONTROL)) {
    if (match[2] === "m") now = select(now, match[1] ?? "");
  }
  return now;
}

/** The text of a line without control sequences. */
export function plainText(line: string): string {
  return overwritten(line).replace(CONTROL, "");
}

/** Progress bars overwrite their line: keep the last version. */
function overwritten(line: string): string {
  const body = line.endsWith("\r") ? line.slice(0, -1) : line;
  const last = body.lastIndexOf("\r");
  return last < 0 ? body : body.slice(last + 1);
}

function select(style: Style, parameters: string): Style {
  const codes = parameters.split(/[:;]/).map((code) => (code === "" ? 0 : Number(code)));
  let now: Style = style;
  while (codes.length > 0) now = selectOne(now, codes);
  return now;
}

const FLAGS: Record<number, Partial<Style>> = {
  0: PLAIN,
  1: { bold: true },
  2: { dim: true },
  3: { italic: true },
  4: { underline: true },
  7: { inverse: true },
  9: { strike: true },
  22: { bold: false, dim: false },
  23: { italic: false },
  24: { underline: false },
  27: { inverse: false },
  29: { strike: false },
  39: { fg: null },
  49: { bg: null },
};

/** Apply the next code, removing it and its arguments from `codes`. */
function selectOne(style: Style, codes: number[]): Style {
  const code = codes.shift() ?? 0;
  const flag = FLAGS[code];
  if (flag !== undefined) return { ...style, ...flag };
  if (code === 38 || code === 48) {
    const colour = extended(codes);
    return colour === null ? style : { ...style, [code === 38 ? "fg" : "bg"]: colour };
  }
  if (code >= 30 && code <= 37) return { ...style, fg: code - 30 };
  if (code >= 40 && code <= 47) return { ...style, bg: code - 40 };
  if (code >= 90 && code <= 97) return { ...style, fg: code - 82 };
  if (code >= 100 && code <= 107) return { ...style, bg: code - 92 };
  return style;
}

function extended(codes: number[]): Colour | null {
  const kind = codes.shift();
  if (kind === 5) return indexed(codes.shift() ?? 0);
  if (kind !== 2) return null;
  const [red = 0, green = 0, blue = 0] = codes.splice(0, 3).map((part) => clamp(part));
  return `rgb(${red} ${green} ${blue})`;
}

function indexed(index: number): Colour | null {
  if (!(index >= 0 && index <= 255)) return null;
  if (index < 16) return index;
  if (index >= 232) {
    const grey = 8 + (index - 232) * 10;
    return `rgb(${grey} ${grey} ${grey})`;
  }
  const cube = index - 16;
  const [red, green, blue] = [Math.floor(cube / 36), Math.floor(cube / 6) % 6, cube % 6].map(
    (level) => (level === 0 ? 0 : 55 + level * 40),
  );
  return `rgb(${red ?? 0} ${green ?? 0} ${blue ?? 0})`;
}

function clamp(part: number): number {
  return Number.isFinite(part) ? Math.min(255, Math.max(0, Math.trunc(part))) : 0;
}
