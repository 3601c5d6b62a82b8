/** Draws the state grid. Larger cells have a shape besides their colour. */

import { type Palette, prepared } from "@/components/canvas";
import type { Grid } from "@/run/overview/model/stateGrid";

type CellState = "pending" | "queued" | "running" | "done" | "error" | "killed" | "skipped";

/** Letters of the API. */
export const CELL_STATES: Readonly<Record<string, CellState>> = {
  P: "pending",
  Q: "queued",
  R: "running",
  D: "done",
  E: "error",
  K: "killed",
  S: "skipped",
};
/** Minimum cell size in px for a shape, and for a gap. */
const MIN_SHAPED = 8;
const MIN_GAPPED = 4;
/** Dim states that need no attention. */
const OPACITY: Partial<Record<CellState, number>> = { pending: 0.3 };

export function paintGrid(
  canvas: HTMLCanvasElement,
  grid: Grid,
  letters: string,
  hovered: number | null,
  palette: Palette,
): void {
  const context = prepared(canvas);
  if (context === null) return;
  const { columns, size } = grid;
  const side = size >= MIN_GAPPED ? size - 1 : size;
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
  // Enlarge failures, so that one among thousands is visible.
  for (const cell of failed) paint(cell, side < MIN_SHAPED - 1 ? 1.5 : 0);
  if (hovered === null) return;
  context.strokeStyle = palette.text;
  context.lineWidth = 1.5;
  const [x, y] = [(hovered % columns) * size, Math.floor(hovered / columns) * size];
  context.strokeRect(x - 0.5, y - 0.5, side + 1, side + 1);
}

function stateOf(letters: string, cell: number): CellState {
  return CELL_STATES[letters[cell] ?? ""] ?? "pending";
}

/** Waiting cells are hollow, running ones half full, finished ones full. */
function paintCell(
  context: CanvasRenderingContext2D,
  state: CellState,
  x: number,
  y: number,
  side: number,
  palette: Palette,
): void {
  const colour = palette[state];
  context.fillStyle = colour;
  if (side < MIN_SHAPED - 1) {
    context.globalAlpha = OPACITY[state] ?? 1;
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
  context.globalAlpha = OPACITY[state] ?? 1;
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
