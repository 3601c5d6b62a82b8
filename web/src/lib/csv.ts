/** Parses CSV and TSV (RFC 4180). */

/** The first `max` rows of a table. */
export function parseTable(text: string, separator: "," | "\t", max: number): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let position = 0;
  while (position < text.length && rows.length < max) {
    const { value, end } = readCell(text, position, separator);
    row.push(value);
    if (text[end] === separator) {
      position = end + 1;
      if (position < text.length) continue;
      row.push("");
    } else {
      position = text.startsWith("\r\n", end) ? end + 2 : end + 1;
    }
    rows.push(row);
    row = [];
  }
  return rows;
}

function readCell(text: string, from: number, separator: string): { value: string; end: number } {
  let at = from;
  let value = "";
  if (text[at] === '"') {
    at += 1;
    for (;;) {
      const quote = text.indexOf('"', at);
      if (quote < 0) return { value: value + text.slice(at), end: text.length };
      value += text.slice(at, quote);
      at = quote + 1;
      if (text[at] !== '"') break;
      value += '"';
      at += 1;
    }
  }
  let end = at;
  while (end < text.length && !isEnd(text, end, separator)) end += 1;
  return { value: value + text.slice(at, end), end };
}

function isEnd(text: string, at: number, separator: string): boolean {
  const letter = text[at];
  return letter === separator || letter === "\n" || (letter === "\r" && text[at + 1] === "\n");
}
