/** Draws the waits of an attempt, each with its own colour and shape. */

import type { Palette, Pen } from "@/components/canvas";
import type { Bar, PhaseName } from "@/run/timeline/model/lanes";
import { phasesOf } from "@/run/timeline/model/phases";

/** Waits are lower than run bars, so that colour is not needed to tell them apart. */
const MIDDLE = 12;
const LINE = 4;
const TALL = 10;
/** Distance between strokes in px. */
const STROKE = 4;

type Draw = (context: CanvasRenderingContext2D, x: number, y: number, width: number) => void;

export function paintWait(
  { context, colours }: Pen,
  bar: Bar,
  place: { top: number; width: number; now: number; xOf: (time: number) => number },
): void {
  for (const { name, from, to } of phasesOf(bar, place.now)) {
    const left = Math.max(-STROKE, place.xOf(from));
    const right = Math.min(place.width + STROKE, place.xOf(to));
    if (right <= left) continue;
    context.fillStyle = colours[COLOUR[name]];
    SHAPE[name](context, left, place.top + MIDDLE, right - left);
  }
}

const COLOUR: Record<PhaseName, keyof Palette> = {
  image: "wait-image",
  turn: "queued",
  start: "wait-start",
  approval: "approval",
  unknown: "muted",
};

const line: Draw = (context, x, y, width) => context.fillRect(x, y - LINE / 2, width, LINE);

const strokes: Draw = (context, x, y, width) => {
  context.fillRect(x, y - 1, width, 2);
  for (let at = 0; at < width; at += STROKE) {
    context.fillRect(x + at, y - TALL / 2, Math.min(2, width - at), TALL);
  }
};

const hollow: Draw = (context, x, y, width) => {
  context.fillRect(x, y - TALL / 2, width, 2);
  context.fillRect(x, y + TALL / 2 - 2, width, 2);
  context.fillRect(x, y - TALL / 2, Math.min(1.5, width), TALL);
};

const dashes: Draw = (context, x, y, width) => {
  for (let at = 0; at < width; at += 2 * STROKE) {
    context.fillRect(x + at, y - LINE / 2, Math.min(STROKE + 1, width - at), LINE);
  }
};

const SHAPE: Record<PhaseName, Draw> = {
  image: strokes,
  turn: line,
  start: hollow,
  approval: dashes,
  unknown: (context, x, y, width) => context.fillRect(x, y - 1, width, 2),
};
