/** Draws the row of a group: running commands over time, and failures. */

import type { Pen } from "@/components/canvas";
import { barsWithin, columnsOf } from "@/run/timeline/model/groupLanes";
import { type Bar, endOf, type Group, type Lane, type Range } from "@/run/timeline/model/lanes";
import { xOf } from "@/run/timeline/model/timescale";

const TOP = 4;
const HEIGHT = 17;
/** Minimum height, so that one command of many is visible, and the height of an open group. */
const MIN_HEIGHT = 2;
const OPEN_HEIGHT = 4;
const OPEN_TOP = 10;
/** Half the width of a failure mark. */
const HALF_WIDTH = 4;

interface Place {
  top: number;
  width: number;
  view: Range;
  now: number;
  /** The critical path, and whether to dim everything else. */
  critical: ReadonlySet<Bar>;
  onlyCritical: boolean;
}

/** Draw a group; nothing but its extent while its rows are open. */
export function paintGroup(pen: Pen, lane: Lane & { group: Group }, place: Place): void {
  const { context, colours } = pen;
  const { top, width, view } = place;
  const { steps, peak, failures } = lane.group;
  const xAt = (time: number) => xOf(time, view, width);
  context.globalAlpha = place.onlyCritical ? 0.3 : 1;
  // Blue means that something runs now.
  context.fillStyle = isOver(lane.group, place.now) ? colours.queued : colours.running;
  const columns = columnsOf(steps, view, Math.ceil(width));
  if (lane.open === true) {
    // The rows below have the bars.
    paintSpans(pen, columns, top);
    return;
  }
  for (const [x, count] of columns.entries()) {
    if (count === 0) continue;
    const height = Math.max(MIN_HEIGHT, (count / peak) * HEIGHT);
    context.fillRect(x, top + TOP + HEIGHT - height, 1, height);
  }
  context.globalAlpha = 1;
  let before = -Infinity;
  for (const x of failures.map(xAt)) {
    // Skip marks that overlap or are out of view.
    if (x - before < 1 || x < -HALF_WIDTH || x > width + HALF_WIDTH) continue;
    paintFailure(pen, x, top);
    before = x;
  }
  context.fillStyle = colours.text;
  for (const bar of barsWithin(place.critical, lane.key)) {
    const from = xAt(bar.started ?? 0);
    const length = Math.max(1, xAt(endOf(bar, place.now)) - from);
    context.fillRect(from, top + TOP + HEIGHT + 1, length, 2);
  }
}

/** Mark when any command of an open group ran. */
function paintSpans({ context }: Pen, columns: readonly number[], top: number): void {
  for (const [x, count] of columns.entries()) {
    if (count > 0) context.fillRect(x, top + OPEN_TOP, 1, OPEN_HEIGHT);
  }
  context.globalAlpha = 1;
}

/** Whether none of its commands runs now; the steps of one that runs end now. */
function isOver({ steps: { times } }: Group, now: number): boolean {
  return (times[times.length - 1] ?? 0) < now;
}

/** A cross on a vertical line, recognisable without colour. */
function paintFailure({ context, colours }: Pen, x: number, top: number): void {
  context.fillStyle = colours.surface;
  context.fillRect(x - 2, top + 1, 4, TOP + HEIGHT);
  context.fillStyle = colours.error;
  context.fillRect(x - 1, top + 1, 2, TOP + HEIGHT);
  context.strokeStyle = colours.error;
  context.lineWidth = 1.6;
  context.beginPath();
  context.moveTo(x - HALF_WIDTH, top + 1);
  context.lineTo(x + HALF_WIDTH, top + 9);
  context.moveTo(x + HALF_WIDTH, top + 1);
  context.lineTo(x - HALF_WIDTH, top + 9);
  context.stroke();
}
