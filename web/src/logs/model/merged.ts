/** The output of several commands in one sequence, and the rows that show it. */

import type { MergedLine, MergedPage } from "@/api/schema";
import { isWithin, parentOf, pathsFrom } from "@/run/model/paths";
import type { OutputCount } from "@/run/tree/model/rows";

/** The commands whose output is shown: the deepest listed path at or above a command decides. */
export interface Shown {
  nodes: readonly string[];
  hidden: readonly string[];
}

/** What a query selects below a group: without `nodes`, everything that is not hidden. */
export function shownIn(query: URLSearchParams, root: string): Shown {
  const nodes = pathsFrom(query.get("nodes"));
  const hidden = pathsFrom(query.get("hidden"));
  const isRest = nodes.length === 0 || nodes.includes(root) || hidden.includes(root);
  return { nodes, hidden: isRest ? hidden : [root, ...hidden] };
}

function isShown({ nodes, hidden }: Shown, path: string): boolean {
  for (let at: string | null = path; at !== null; at = parentOf(at)) {
    if (nodes.includes(at)) return true;
    if (hidden.includes(at)) return false;
  }
  return true;
}

/** The state of the check box of a node. */
export function checkOf(shown: Shown, path: string): boolean | "mixed" {
  const isMixed = [...shown.nodes, ...shown.hidden].some(
    (one) => one !== path && isWithin(one, path),
  );
  return isMixed ? "mixed" : isShown(shown, path);
}

/** The commands that are shown after a click on the check box of a node below `root`. */
export function toggledIn(shown: Shown, root: string, path: string): Shown {
  const show = checkOf(shown, path) !== true;
  const [nodes, hidden] = [shown.nodes, shown.hidden].map((paths) =>
    paths.filter((one) => !isWithin(one, path)),
  ) as [string[], string[]];
  if (isShown({ nodes, hidden }, path) !== show) (show ? nodes : hidden).push(path);
  if (hidden.length === 0) return { nodes: [], hidden };
  const isRootListed = nodes.length === 0 || nodes.includes(root) || hidden.includes(root);
  return { nodes: isRootListed ? nodes : [root, ...nodes], hidden };
}

/** What printed a line: a command, or a service beside it. */
export function sourceOf({ path, service }: Pick<Line, "path" | "service">): string {
  return service === null ? path : `${path} ${service}`;
}

/** The number of the colour of a source, 1 to 6: siblings with consecutive numbers differ. */
export function numberOf(source: string): number {
  let sum = 0;
  for (let at = 0; at < source.length; at += 1) sum += source.charCodeAt(at);
  return (sum % 6) + 1;
}

export const colourOf = (source: string) => `var(--node-${numberOf(source)})`;

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

/** Lines between markers in the output of a command. */
export interface LineGroup {
  key: string;
  open: boolean;
  count: number;
  /** When its last line was printed. */
  until: number;
}

/** A line, or several equal ones of a source that follow each other. */
export interface Row {
  line: Line;
  count: number;
  /** Shows the name: another source printed the row before. */
  named: boolean;
  /** The group that the line starts. */
  group: LineGroup | null;
}

/**
 * The rows of lines. Groups are closed that have ended and contain no error, unless the user chose
 * otherwise.
 */
export function rowsOf(
  lines: readonly Line[],
  chosen: ReadonlyMap<string, boolean> = new Map(),
): Row[] {
  const rows: Row[] = [];
  const groups = groupsOf(lines, chosen);
  for (const [place, line] of lines.entries()) {
    const around = groups.get(place) ?? null;
    const group = around !== null && around.key === line.key ? around : null;
    const kind = line.marker?.[0];
    if (kind === "end" || kind === "expand" || (group === null && around?.open === false)) continue;
    const last = rows.at(-1);
    const same = last !== undefined && sourceOf(last.line) === sourceOf(line);
    if (same && last.line.text === line.text && line.text !== "" && group === null) {
      last.count += 1;
    } else {
      rows.push({ line, count: 1, named: !same, group });
    }
  }
  return rows;
}

/** The group of each line that is in one or starts one, by its place. */
function groupsOf(
  lines: readonly Line[],
  chosen: ReadonlyMap<string, boolean>,
): Map<number, LineGroup> {
  const found = new Map<number, LineGroup>();
  const current = new Map<string, LineGroup & { stays: boolean }>();
  const close = (stream: string) => {
    const group = current.get(stream);
    if (group !== undefined) group.open = chosen.get(group.key) ?? group.stays;
    current.delete(stream);
  };
  for (const [place, line] of lines.entries()) {
    const { key, attempt, marker, time } = line;
    const stream = `${attempt} ${line.stream} ${sourceOf(line)}`;
    const kind = marker?.[0];
    if (kind !== undefined && kind !== "expand") close(stream);
    if (kind === "open" || kind === "closed") {
      const open = chosen.get(key) ?? true;
      current.set(stream, { key, open, count: 0, until: time, stays: kind === "open" });
    }
    const group = current.get(stream);
    if (group === undefined) continue;
    found.set(place, group);
    if (kind === "expand" || line.level === "error") group.stays = true;
    if (kind === undefined) {
      group.count += 1;
      group.until = time;
    }
  }
  return found;
}

/**
 * The number of lines of each command and group below `root`, and of errors. With a search, the
 * lines are its matches. `more`: there are lines that are not loaded.
 */
export function outputCounts(
  lines: readonly Line[],
  root: string,
  { searched, more }: { searched: boolean; more: boolean },
): Map<string, OutputCount> {
  const commands = new Map<string, { lines: number; errors: number }>();
  for (const { path, level } of lines) {
    let one = commands.get(path);
    if (one === undefined) commands.set(path, (one = { lines: 0, errors: 0 }));
    one.lines += 1;
    if (level === "error") one.errors += 1;
  }
  const sums = new Map<string, { lines: number; errors: number }>();
  for (const [path, one] of commands) {
    for (let at: string | null = path; at !== null && isWithin(at, root); at = parentOf(at)) {
      const { lines, errors } = sums.get(at) ?? { lines: 0, errors: 0 };
      sums.set(at, { lines: lines + one.lines, errors: errors + one.errors });
    }
  }
  const text = (sum: number) => {
    const unit = searched ? (sum === 1 ? "match" : "matches") : sum === 1 ? "line" : "lines";
    return `${count(sum)}${more ? "+" : ""} ${unit}`;
  };
  return new Map(
    [...sums].map(([path, { lines, errors }]) => [path, { text: text(lines), errors }]),
  );
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
