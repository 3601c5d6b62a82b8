/** How many lines each source printed over time, as columns of a strip. */

import { numberOf, type Row, sourceOf } from "@/logs/model/merged";

export const COLUMNS = 160;
/** Height of the strip; its columns are 10 wide. */
export const HEIGHT = 100;
const WIDTH = 10;
/** Columns with few lines stay visible. */
const LOWEST = 12;

export interface Band {
  colour: string;
  /** An SVG path. */
  path: string;
}

export interface Density {
  bands: readonly Band[];
  from: number;
  until: number;
}

/** The place of a time in a strip, from 0 to 1. */
export function placeOf({ from, until }: Pick<Density, "from" | "until">, time: number): number {
  return until <= from ? 0 : Math.min(1, Math.max(0, (time - from) / (until - from)));
}

/** The strip of rows in the order of time: errors below, above them a band for each colour. */
export function densityOf(rows: readonly Row[]): Density | null {
  const [first, last] = [rows[0], rows.at(-1)];
  if (first === undefined || last === undefined || last.line.time <= first.line.time) return null;
  const range = { from: first.line.time, until: last.line.time };
  const counts = Array.from({ length: COLUMNS }, () => [0, 0, 0, 0, 0, 0, 0]);
  const colours = new Map<string, number>();
  for (const { line, count } of rows) {
    const source = sourceOf(line);
    const colour = colours.get(source) ?? numberOf(source);
    colours.set(source, colour);
    const column = counts[Math.min(COLUMNS - 1, Math.floor(placeOf(range, line.time) * COLUMNS))];
    const band = line.level === "error" ? 0 : colour;
    if (column !== undefined) column[band] = (column[band] ?? 0) + count;
  }
  const sums = counts.map((column) => column.reduce((sum, one) => sum + one, 0));
  const most = Math.max(...sums);
  const paths = ["", "", "", "", "", "", ""];
  for (const [at, column] of counts.entries()) {
    const sum = sums[at] ?? 0;
    const height = sum === 0 ? 0 : Math.max(LOWEST, HEIGHT * Math.sqrt(sum / most));
    let low = HEIGHT;
    for (const [band, one] of column.entries()) {
      if (one === 0) continue;
      const top = low - (height * one) / sum;
      paths[band] =
        `${paths[band] ?? ""}M${at * WIDTH} ${round(low)}V${round(top)}h${WIDTH - 2}V${round(low)}z`;
      low = top;
    }
  }
  const bands = paths.map((path, band) => ({
    colour: band === 0 ? "var(--error-fill)" : `var(--node-${band})`,
    path,
  }));
  return { ...range, bands: bands.filter(({ path }) => path !== "") };
}

const round = (value: number) => Math.round(value * 10) / 10;
