/** Draws the row of a group: how many ran at a time, and where attempts failed. */

import { barsWithin, columnsOf, type Group } from "@/model/groupLanes";
import { endOf, type Bar, type Lane, type Range } from "@/model/timeline";
import type { Palette } from "@/ui/canvas";

const TOP = 4;
const HEIGHT = 17;
/** Height of the least that is drawn: one of many is still seen. */
const LEAST = 2;

interface Place {
  top: number;
  width: number;
  view: Range;
  now: number;
  /** The critical path, and whether what is not on it stands back. */
  critical: ReadonlySet<Bar>;
  onlyCritical: boolean;
}

export function paintGroup(
  context: CanvasRenderingContext2D,
  lane: Lane & { group: Group },
  place: Place,
  colours: Palette,
): void {
  const { top, width, view } = place;
  const { steps, peak, failures } = lane.group;
  const xOf = (time: number) => ((time - view.from) / (view.to - view.from)) * width;
  context.globalAlpha = place.onlyCritical ? 0.3 : 1;
  context.fillStyle = colours.running;
  for (const [x, count] of columnsOf(steps, view, Math.ceil(width)).entries()) {
    if (count === 0) continue;
    const height = Math.max(LEAST, (count / peak) * HEIGHT);
    context.fillRect(x, top + TOP + HEIGHT - height, 1, height);
  }
  context.globalAlpha = 1;
  for (const time of failures) failureAt(context, xOf(time), top, colours);
  context.fillStyle = colours.text;
  for (const bar of barsWithin(place.critical, lane.key)) {
    const from = xOf(bar.started ?? 0);
    context.fillRect(
      from,
      top + TOP + HEIGHT + 1,
      Math.max(1, xOf(endOf(bar, place.now)) - from),
      2,
    );
  }
}

/** A cross at the top of the row, on a line through it: told without its colour. */
function failureAt(
  context: CanvasRenderingContext2D,
  x: number,
  top: number,
  colours: Palette,
): void {
  context.fillStyle = colours.surface;
  context.fillRect(x - 2, top + 1, 4, TOP + HEIGHT);
  context.fillStyle = colours.error;
  context.fillRect(x - 1, top + 1, 2, TOP + HEIGHT);
  context.strokeStyle = colours.error;
  context.lineWidth = 1.6;
  context.beginPath();
  context.moveTo(x - 4, top + 1);
  context.lineTo(x + 4, top + 9);
  context.moveTo(x + 4, top + 1);
  context.lineTo(x - 4, top + 9);
  context.stroke();
}
