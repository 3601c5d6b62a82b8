/** The output of several commands in one sequence, and the rows that show it. */

import type { MergedLine, MergedPage } from "@/api/schema";

/** Paths start with a slash and names are never empty, so `//` separates two paths. */
const SEPARATOR = "//";
/** Paths as one query parameter; null for none. */
export function pathsText(paths: readonly string[]): string | null {
  return paths.length === 0 ? null : `/${paths.map((path) => path.slice(1)).join(SEPARATOR)}`;
}

/** The paths in a query parameter, each once. */
export function pathsFrom(text: string | null): string[] {
  if (text === null || text === "") return [];
  return [...new Set(text.slice(1).split(SEPARATOR))].map((path) => `/${path}`);
}

/** A line with its command. */
export interface Line extends Omit<MergedLine, "node"> {
  key: string;
  path: string;
  attempt: number;
}

export function linesOf({ nodes, lines }: MergedPage): Line[] {
  return lines.flatMap(({ node, ...line }) => {
    const command = nodes[node];
    if (command === undefined) return [];
    const key = `${command.path} ${command.attempt} ${line.stream} ${line.offset}`;
    return [{ ...line, ...command, key }];
  });
}

/**
 * Lines in the order of time, each once; of the same time, the known ones first. Most lines are
 * added at an end.
 */
export function merged(known: readonly Line[], added: readonly Line[]): readonly Line[] {
  const keys = new Set(known.map(({ key }) => key));
  const fresh = added.filter(({ key }) => !keys.has(key));
  const [first, last] = [fresh[0], fresh.at(-1)];
  if (first === undefined || last === undefined) return known;
  if (first.time >= (known.at(-1)?.time ?? -Infinity)) return [...known, ...fresh];
  if (last.time < (known[0]?.time ?? Infinity)) return [...fresh, ...known];
  return [...known, ...fresh].toSorted((one, other) => one.time - other.time);
}

/** A line, or several equal ones of a command that follow each other. */
export interface Row {
  line: Line;
  count: number;
  /** Shows the name: another command printed the row before. */
  named: boolean;
}

export function rowsOf(lines: readonly Line[]): Row[] {
  const rows: Row[] = [];
  for (const line of lines) {
    const last = rows.at(-1);
    const same = last?.line.path === line.path;
    if (same && last.line.text === line.text && line.text !== "") {
      last.count += 1;
    } else {
      rows.push({ line, count: 1, named: !same });
    }
  }
  return rows;
}

/** The next row of a list of rows after (or before) a row, around the end. */
export function nextOf(rows: readonly number[], at: number | null, step: 1 | -1): number | null {
  if (rows.length === 0) return null;
  const found =
    step > 0
      ? rows.find((row) => row > (at ?? -1))
      : rows.findLast((row) => row < (at ?? Infinity));
  return found ?? rows.at(step > 0 ? 0 : -1) ?? null;
}

const count = (number: number) => number.toLocaleString("en");

/** `41, trying again in 3s; 87, only the newest 1,000 are merged`; null if nothing is missing. */
export function unreadText(unread: MergedPage["unread"], seconds: number | null): string | null {
  const again =
    seconds === null || seconds <= 0 ? "trying again now" : `trying again in ${seconds}s`;
  const parts = unread.map((one) => `${count(one.count)}, ${one.again ? again : one.reason}`);
  return parts.length === 0 ? null : `Not yet: ${parts.join("; ")}`;
}

/** `1,874 of 2,002 searched`. */
export function searchedText(commands: number, left: number): string {
  return `${count(Math.max(0, commands - left))} of ${count(commands)} searched`;
}
