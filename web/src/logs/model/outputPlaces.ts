/** The part of an output that a URL links to, and the streams of an output. */

export type OutputStream = "stdout" | "stderr";
export const STREAMS: readonly OutputStream[] = ["stdout", "stderr"];
/** Both streams by time, or one of them. */
export type StreamView = "all" | OutputStream;
export const STREAM_LABELS = { all: "All", stdout: "stdout", stderr: "stderr" };
export const STREAM_VIEWS: readonly StreamView[] = ["all", ...STREAMS];

/** Lines, counted from 0; both ends are included. */
export interface LineRange {
  first: number;
  last: number;
}

/** The lines in a URL: `12`, or `12-20`, counted from 1. */
export function linesFrom(text: string | null): LineRange | null {
  const match = /^(\d{1,15})(?:-(\d{1,15}))?$/.exec(text ?? "");
  if (match === null) return null;
  const ends = [Number(match[1]), Number(match[2] ?? match[1])];
  const [first, last] = [Math.min(...ends) - 1, Math.max(...ends) - 1];
  return first < 0 ? null : { first, last };
}

export function linesText({ first, last }: LineRange): string {
  return first === last ? String(first + 1) : `${first + 1}-${last + 1}`;
}

/** The lines that a click links to: a range with Shift; null if it removes the link. */
export function linesAfterClick(
  linked: LineRange | null,
  line: number,
  shift: boolean,
): LineRange | null {
  if (shift && linked !== null) {
    const anchor = line < linked.first ? linked.last : linked.first;
    return { first: Math.min(anchor, line), last: Math.max(anchor, line) };
  }
  const isSame = linked !== null && linked.first === line && linked.last === line;
  return isSame ? null : { first: line, last: line };
}
