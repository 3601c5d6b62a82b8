/** Draws Execs as cells. Larger cells have a shape besides their colour. */

import { type Palette, prepared } from "@/components/canvas";
import type { Field } from "@/model/cells";

type Painted = "pending" | "queued" | "running" | "done" | "error" | "killed" | "skipped";

/** What the letters of the API mean. */
export const CELL_STATES: Readonly<Record<string, Painted>> = {
  P: "pending",
  Q: "queued",
  R: "running",
  D: "done",
  E: "error",
  K: "killed",
  S: "skipped",
};
/** The smallest cell, in px, that has room for a shape, and for a gap. */
const SHAPED = 8;
const GAPPED = 4;
/** What nobody has to look at stands back. */
const FAINT: Partial<Record<Painted, number>> = { pending: 0.3, done: 0.6 };

export function paintCells(
  canvas: HTMLCanvasElement,
  field: Field,
  letters: string,
  hovered: number | null,
  palette: Palette,
): void {
  const context = prepared(canvas);
  if (context === null) return;
  const { columns, size } = field;
  const side = size >= GAPPED ? size - 1 : size;
  const failed: number[] = [];
  const paint = (cell: number, grown: number) => {
    const state = stateOf(letters, cell);
    const x = (cell % columns) * size - grown;
    const y = Math.floor(cell / columns) * size - grown;
    paintCell(context, state, x, y, side + 2 * grown, palette);
  };
  for (let cell = 0; cell < letters.length; cell += 1) {
    const state = stateOf(letters, cell);
    if (state === "error" || state === "killed") failed.push(cell);
    else paint(cell, 0);
  }
  // A single failure among thousands must be seen: it stands out of its row.
  for (const cell of failed) paint(cell, side < SHAPED - 1 ? 1.5 : 0);
  if (hovered === null) return;
  context.strokeStyle = palette.text;
  context.lineWidth = 1.5;
  const [x, y] = [(hovered % columns) * size, Math.floor(hovered / columns) * size];
  context.strokeRect(x - 0.5, y - 0.5, side + 1, side + 1);
}

function stateOf(letters: string, cell: number): Painted {
  return CELL_STATES[letters[cell] ?? ""] ?? "pending";
}

/** What waits is hollow, what is at work is half full, what has ended is full. */
function paintCell(
  context: CanvasRenderingContext2D,
  state: Painted,
  x: number,
  y: number,
  side: number,
  palette: Palette,
): void {
  const colour = state === "skipped" ? palette.line : palette[state];
  context.fillStyle = colour;
  if (side < SHAPED - 1) {
    context.globalAlpha = FAINT[state] ?? 1;
    context.fillRect(x, y, side, side);
    context.globalAlpha = 1;
    return;
  }
  if (state === "pending" || state === "queued" || state === "running") {
    context.strokeStyle = colour;
    context.lineWidth = 1;
    context.strokeRect(x + 0.5, y + 0.5, side - 1, side - 1);
    if (state === "queued") context.fillRect(x + side / 2 - 1, y + side / 2 - 1, 2, 2);
    if (state === "running") context.fillRect(x, y + side / 2, side, side / 2);
    return;
  }
  context.globalAlpha = FAINT[state] ?? 1;
  context.fillRect(x, y, side, side);
  context.globalAlpha = 1;
  if (state !== "error" && state !== "killed") return;
  context.strokeStyle = palette.surface;
  context.lineWidth = 1.5;
  context.beginPath();
  const inset = side / 4;
  const [left, right] = [x + inset, x + side - inset];
  if (state === "error") {
    context.moveTo(left, y + inset);
    context.lineTo(right, y + side - inset);
    context.moveTo(right, y + inset);
    context.lineTo(left, y + side - inset);
  } else {
    context.moveTo(left, y + side / 2);
    context.lineTo(right, y + side / 2);
  }
  context.stroke();
}
