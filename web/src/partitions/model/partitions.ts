/** The partitions of a program as the columns of a map: one each, or a week, month or year. */

import type { ProgramPartitions } from "@/api/schema";

/** Maximum number of columns; more partitions share columns. */
export const MAX_COLUMNS = 120;

export type PartitionLetter = "m" | "r" | "d" | "f" | "s";

export const STATES: Record<PartitionLetter, string> = {
  f: "failed",
  s: "stale",
  m: "missing",
  r: "running",
  d: "done",
};
export const LETTERS = Object.keys(STATES) as PartitionLetter[];

/** The letters of steps, the worst first; a column of several partitions has its worst one. */
const STEP_ORDER = "fsrpd-";
const STEP_NAMES: Record<string, string> = {
  f: "failed",
  s: "stale",
  r: "running",
  p: "not run",
  d: "done",
};

export interface Column {
  /** Indices of its first partition, and after its last one. */
  first: number;
  end: number;
  state: PartitionLetter;
  /** The index of the partition that is in this state, the newest. */
  worst: number;
  counts: Record<PartitionLetter, number>;
  /** The worst letter of each step. */
  steps: string[];
}

export interface PartitionColumns {
  columns: Column[];
  /** The name of a column: `partition`, `day`, `week`, `month`, `year` or `group`. */
  unit: string;
}

/** The number of partitions in each state. */
export function countsOf(states: string): Record<PartitionLetter, number> {
  const counts = { f: 0, s: 0, m: 0, r: 0, d: 0 };
  for (const letter of states) counts[letter as PartitionLetter] += 1;
  return counts;
}

/** The columns of a map; with a state, only partitions in it. */
export function columnsOf(
  found: ProgramPartitions,
  only: PartitionLetter | null,
): PartitionColumns {
  const kept = found.keys.flatMap((_, index) =>
    only === null || found.states[index] === only ? [index] : [],
  );
  const { unit, groups } = grouped(found.keys, kept);
  return { unit, columns: groups.map((group) => columnOf(found, group)) };
}

function grouped(keys: readonly string[], kept: readonly number[]) {
  if (kept.length <= MAX_COLUMNS)
    return { unit: "partition", groups: kept.map((index) => [index]) };
  for (const [unit, nameOf] of UNITS) {
    if (!isTime(keys[kept[0] ?? 0] ?? "")) break;
    const groups = split(kept, (index) => nameOf(keys[index] ?? ""));
    if (groups.length <= MAX_COLUMNS) return { unit, groups };
  }
  const size = Math.ceil(kept.length / MAX_COLUMNS);
  return { unit: "group", groups: split(kept, (_, place) => String(Math.floor(place / size))) };
}

const UNITS: readonly [string, (key: string) => string][] = [
  ["day", (key) => (key.includes("T") ? key.slice(0, 10) : key)],
  ["week", (key) => (key.length >= 10 ? weekOf(key.slice(0, 10)) : key)],
  ["month", (key) => key.slice(0, 7)],
  ["year", (key) => key.slice(0, 4)],
];

function isTime(key: string): boolean {
  return /^\d{4}-\d{2}(-\d{2}(T\d{2}([+-]\d{4})?)?)?$/.test(key);
}

/** The Monday of the week of a date. */
function weekOf(date: string): string {
  const day = new Date(`${date}T00:00:00Z`);
  day.setUTCDate(day.getUTCDate() - ((day.getUTCDay() + 6) % 7));
  return day.toISOString().slice(0, 10);
}

function split(
  indices: readonly number[],
  nameOf: (index: number, place: number) => string,
): number[][] {
  const groups: number[][] = [];
  let last: string | null = null;
  indices.forEach((index, place) => {
    const name = nameOf(index, place);
    if (name === last) groups.at(-1)?.push(index);
    else groups.push([index]);
    last = name;
  });
  return groups;
}

function columnOf(found: ProgramPartitions, group: readonly number[]): Column {
  const letters = group.map((index) => found.states[index] as PartitionLetter);
  const counts = countsOf(letters.join(""));
  const state = LETTERS.find((letter) => counts[letter] > 0) ?? "m";
  const steps = found.steps.map(({ states }) => {
    const own = group.map((index) => states[index] ?? "-");
    return Array.from(STEP_ORDER).find((letter) => own.includes(letter)) ?? "-";
  });
  const worst = group[letters.lastIndexOf(state)] ?? 0;
  return { first: group[0] ?? 0, end: (group.at(-1) ?? 0) + 1, state, worst, counts, steps };
}

/** `2026-11-15: failed at load`, or `2026-11-09 to 2026-11-15: 2 failed, 5 done`. */
export function columnText(found: ProgramPartitions, column: Column): string {
  const { first, end, state, counts } = column;
  const from = found.keys[first] ?? "";
  const total = LETTERS.reduce((sum, letter) => sum + counts[letter], 0);
  if (total > 1) return `${from} to ${found.keys[end - 1] ?? ""}: ${countsText(counts)}`;
  const at = found.steps.filter((_, place) => column.steps[place] === state);
  const where = (state === "f" || state === "s") && at.length > 0 ? ` at ${at[0]?.name}` : "";
  return `${from}: ${STATES[state]}${where}`;
}

export function countsText(counts: Record<PartitionLetter, number>): string {
  return LETTERS.filter((letter) => counts[letter] > 0)
    .map((letter) => `${counts[letter].toLocaleString("en")} ${STATES[letter]}`)
    .join(", ");
}

export function stepText(letter: string): string {
  return STEP_NAMES[letter] ?? "not in the tree";
}

/** The names above the map: where the month or year changes, at some distance from each other. */
export function headings(found: ProgramPartitions, columns: readonly Column[]): string[] {
  let last = "";
  let free = 0;
  return columns.map((column, place) => {
    const key = found.keys[column.first] ?? "";
    const name = isTime(key) ? key.slice(0, 7) : "";
    if (name === last || place < free) return "";
    last = name;
    free = place + 7;
    return name;
  });
}

/** The path of a partition in its pipeline; null if no pipeline has run it. */
export function placeOf(
  found: ProgramPartitions,
  index: number,
): { pipeline: string; path: string } | null {
  const place = found.places[found.at[index] ?? -1];
  if (place === undefined) return null;
  const { pipeline, parent } = place;
  const key = found.keys[index] ?? "";
  return { pipeline, path: parent === null ? "/" : `${parent.replace(/\/$/, "")}/${key}` };
}
