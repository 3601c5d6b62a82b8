/** Draws the visible bars in the colours of the theme. */

import { type Palette, type Pen, prepared } from "@/components/canvas";
import {
  type Bar,
  beginOf,
  endOf,
  isDecided,
  isFromCache,
  type Lane,
  type Range,
} from "@/run/timeline/model/lanes";
import type { PlacedRound } from "@/run/timeline/model/rounds";
import { isFailed } from "@/run/model/states";
import { duration } from "@/lib/time";
import { ticks, tickText, xOf } from "@/run/timeline/model/timescale";
import { paintGroup } from "@/run/timeline/paintGroup";
import { paintWait } from "@/run/timeline/paintWait";

export const ROW = 24;
const BAR_TOP = 5;
const BAR_HEIGHT = 14;
/** Distance between the lines of a stale bar in px. */
const HATCH = 6;
/** Minimum width of a bar in px, and of a bar with text. */
const MIN_WIDTH = 2;
const MIN_TEXT_WIDTH = 34;
/** Minimum distance between ticks in px. */
const TICK_DISTANCE = 110;

export interface Scene {
  lanes: readonly Lane[];
  view: Range;
  rounds: readonly PlacedRound[];
  now: number;
  /** Scroll offset in px. */
  scrollTop: number;
  byWorker: boolean;
  critical: ReadonlySet<Bar>;
  /** Dim bars that are not critical. */
  onlyCritical: boolean;
  /** The stale commands. */
  stale: ReadonlyMap<string, string>;
  chosen: Bar | null;
  /** Index of the selected row; -1 for none. */
  chosenLane: number;
}

export function paintAxis(canvas: HTMLCanvasElement, scene: Scene, palette: Palette): void {
  const context = prepared(canvas);
  if (context === null) return;
  const { clientWidth: width, clientHeight: height } = canvas;
  context.font = `11px ${getComputedStyle(canvas).fontFamily}`;
  context.textBaseline = "middle";
  paintGaps({ context, colours: palette }, scene, width, height, true);
  for (const { x, text, end } of ticksOf(scene, width)) {
    context.fillStyle = palette.line;
    context.fillRect(x, 0, 1, height);
    context.fillStyle = palette.muted;
    const isCut = x + 4 + context.measureText(text).width > Math.min(width, end);
    if (!isCut) context.fillText(text, x + 4, height / 2);
  }
}

/** The ticks of each round, counted from its begin. */
function ticksOf(scene: Scene, width: number): { x: number; text: string; end: number }[] {
  const { view, rounds } = scene;
  const max = Math.max(2, width / TICK_DISTANCE);
  return rounds.flatMap(({ from, to, round }) => {
    const { step, at } = ticks(view, from, max);
    const end = xOf(to, view, width);
    const isLast = to === rounds.at(-1)?.to;
    return at
      .filter((distance) => distance >= 0 && (isLast || from + distance < to))
      .map((distance) => ({
        x: Math.round(xOf(from + distance, view, width)),
        text: distance === 0 && rounds.length > 1 ? round.label : tickText(distance, step),
        end: isLast ? width : end,
      }));
  });
}

/** Distance of the strokes of a gap in px. */
const STROKE = 6;

/** Draw the folded idle time between rounds. */
function paintGaps(pen: Pen, scene: Scene, width: number, height: number, labels: boolean): void {
  const { context, colours } = pen;
  for (const [at, round] of scene.rounds.entries()) {
    const before = scene.rounds[at - 1];
    if (before === undefined) continue;
    const [from, to] = [xOf(before.to, scene.view, width), xOf(round.from, scene.view, width)];
    if (to < 0 || from > width) continue;
    context.save();
    context.beginPath();
    context.rect(from, 0, to - from, height);
    context.clip();
    context.strokeStyle = colours.line;
    context.lineWidth = 1;
    for (let x = from - height; x < to; x += STROKE) {
      context.beginPath();
      context.moveTo(x, height);
      context.lineTo(x + height, 0);
      context.stroke();
    }
    context.restore();
    if (labels) paintGapLabel(pen, round.idle, from, to, height);
  }
}

function paintGapLabel(
  { context, colours }: Pen,
  idle: number,
  from: number,
  to: number,
  height: number,
): void {
  const texts = [`${duration(idle)} idle`, duration(idle)];
  const text = texts.find((one) => context.measureText(one).width + 4 <= to - from);
  if (text === undefined) return;
  const length = context.measureText(text).width;
  const x = (from + to - length) / 2;
  context.fillStyle = colours.surface;
  context.fillRect(x - 2, 0, length + 4, height);
  context.fillStyle = colours.muted;
  context.fillText(text, x, height / 2);
}

/** `drag` is the range that the user is dragging. */
export function paintBars(
  canvas: HTMLCanvasElement,
  scene: Scene,
  drag: Range | null,
  colours: Palette,
): void {
  const context = prepared(canvas);
  if (context === null) return;
  const { clientWidth: width, clientHeight: height } = canvas;
  const { lanes, view, scrollTop } = scene;
  context.font = `11px ${getComputedStyle(canvas).fontFamily}`;
  context.textBaseline = "middle";
  context.fillStyle = colours.line;
  for (const { x } of ticksOf(scene, width)) context.fillRect(x, 0, 1, height);
  paintGaps({ context, colours }, scene, width, height, false);
  const first = Math.floor(scrollTop / ROW);
  const last = Math.min(lanes.length - 1, Math.ceil((scrollTop + height) / ROW));
  for (let index = first; index <= last; index += 1) {
    const lane = lanes[index];
    if (lane === undefined) continue;
    const top = index * ROW - scrollTop;
    if (index === scene.chosenLane) {
      context.globalAlpha = 0.6;
      context.fillStyle = colours.selected;
      context.fillRect(0, top, width, ROW);
      context.globalAlpha = 1;
    }
    paintLane({ context, colours }, lane, top, width, scene);
  }
  if (drag !== null) {
    const [from, to] = [xOf(drag.from, view, width), xOf(drag.to, view, width)];
    context.globalAlpha = 0.18;
    context.fillStyle = colours.accent;
    context.fillRect(from, 0, to - from, height);
    context.globalAlpha = 1;
  }
}

function paintLane(pen: Pen, lane: Lane, top: number, width: number, scene: Scene): void {
  const { context } = pen;
  const { group } = lane;
  if (group !== undefined) {
    paintGroup(pen, { ...lane, group }, { ...scene, top, width });
    return;
  }
  for (const bar of lane.bars) {
    const begin = beginOf(bar);
    if (begin === null) continue;
    const end = xOf(endOf(bar, scene.now), scene.view, width);
    const from = xOf(begin, scene.view, width);
    if (end < -MIN_WIDTH || from > width) continue;
    context.globalAlpha = scene.onlyCritical && !scene.critical.has(bar) ? 0.3 : 1;
    const start = bar.started === null ? end : xOf(bar.started, scene.view, width);
    if (!scene.byWorker) {
      const xAt = (time: number) => xOf(time, scene.view, width);
      paintWait(pen, bar, { top, width, now: scene.now, xOf: xAt });
    }
    paintRun(pen, bar, { x: start, top, end, width }, scene);
    context.globalAlpha = 1;
  }
}

interface Place {
  x: number;
  top: number;
  end: number;
  width: number;
}

/** Hatching: the outcome is that of files that have changed since. */
function paintStale({ context, colours }: Pen, left: number, right: number, y: number): void {
  context.save();
  context.beginPath();
  context.rect(left, y, right - left, BAR_HEIGHT);
  context.clip();
  context.fillStyle = colours.surface;
  context.fillRect(left, y, right - left, BAR_HEIGHT);
  context.strokeStyle = colours.stale;
  context.lineWidth = 1.5;
  context.beginPath();
  for (let x = left - BAR_HEIGHT; x < right; x += HATCH) {
    context.moveTo(x, y + BAR_HEIGHT);
    context.lineTo(x + BAR_HEIGHT, y);
  }
  context.stroke();
  context.strokeRect(left + 0.75, y + 0.75, right - left - 1.5, BAR_HEIGHT - 1.5);
  context.restore();
}

function paintRun(pen: Pen, bar: Bar, { x, top, end, width }: Place, scene: Scene): void {
  const { context, colours } = pen;
  // A failure that never started still gets a mark.
  if (bar.started === null && bar.state === "queued") return;
  if (isDecided(bar) && bar.state === "done") return;
  const isStale = bar.state === "done" && scene.stale.has(bar.path);
  if (isStale && isFromCache(bar)) {
    paintStale(pen, x - BAR_HEIGHT / 2, x + BAR_HEIGHT / 2, top + BAR_TOP);
    return;
  }
  if (isFromCache(bar)) {
    paintCached(pen, x, top + BAR_TOP, bar === scene.chosen);
    return;
  }
  const left = Math.max(-4, x);
  // Keep adjacent bars apart.
  const gap = end - x > 4 ? 1 : 0;
  const right = Math.min(width + 4, Math.max(end - gap, x + MIN_WIDTH));
  const y = top + BAR_TOP;
  context.fillStyle = colours[bar.state];
  context.fillRect(left, y, right - left, BAR_HEIGHT);
  if (isStale) paintStale(pen, left, right, y);
  if (bar.state === "running") paintOpenEnd(pen, right, y);
  if (isFailed(bar.state)) paintFailure(pen, bar, left, right, y);
  else if (right - left >= MIN_TEXT_WIDTH) paintLabel(pen, bar, left, right, y, scene.byWorker);
  if (scene.critical.has(bar)) {
    context.fillStyle = colours.text;
    context.fillRect(left, y + BAR_HEIGHT + 1, right - left, 2);
  }
  if (bar === scene.chosen) {
    context.strokeStyle = colours.text;
    context.lineWidth = 1.5;
    context.strokeRect(left - 1.5, y - 1.5, right - left + 3, BAR_HEIGHT + 3);
  }
}

/** A hollow bar without length, with a bolt. */
function paintCached({ context, colours }: Pen, x: number, y: number, isChosen: boolean): void {
  context.strokeStyle = isChosen ? colours.text : colours.done;
  context.lineWidth = isChosen ? 1.5 : 1;
  context.strokeRect(x - 5.5, y + 0.5, 11, BAR_HEIGHT - 1);
  context.strokeStyle = colours.text;
  context.beginPath();
  context.moveTo(x + 1.5, y + 2.5);
  context.lineTo(x - 2, y + 7.5);
  context.lineTo(x + 2, y + 6.5);
  context.lineTo(x - 1.5, y + 11.5);
  context.stroke();
}

/** Draw stripes at the end of an active bar. */
function paintOpenEnd({ context, colours }: Pen, right: number, y: number): void {
  context.fillStyle = colours.surface;
  for (const back of [3, 7, 11]) context.fillRect(right - back, y, 1.5, BAR_HEIGHT);
}

/** A cross for an error, a dash for a killed command, as in the tree. */
function paintFailure(pen: Pen, bar: Bar, left: number, right: number, y: number): void {
  const { context, colours } = pen;
  if (right - left < 12) {
    // Too short for a mark: draw over the full height of the row.
    context.fillRect(left, y - 4, Math.max(MIN_WIDTH + 1, right - left), BAR_HEIGHT + 8);
    return;
  }
  const [x, middle] = [left + 7, y + BAR_HEIGHT / 2];
  context.strokeStyle = colours.surface;
  context.lineWidth = 1.6;
  context.beginPath();
  context.moveTo(x - 3, bar.state === "error" ? middle - 3 : middle);
  context.lineTo(x + 3, bar.state === "error" ? middle + 3 : middle);
  if (bar.state === "error") {
    context.moveTo(x + 3, middle - 3);
    context.lineTo(x - 3, middle + 3);
  }
  context.stroke();
}

function paintLabel(
  { context, colours }: Pen,
  bar: Bar,
  left: number,
  right: number,
  y: number,
  byWorker: boolean,
): void {
  const name = bar.path.slice(bar.path.lastIndexOf("/") + 1);
  const text = byWorker ? name : bar.number > 1 ? `attempt ${bar.number}` : "";
  const room = right - Math.max(0, left) - 10;
  if (text === "" || context.measureText(text).width > room) return;
  // Done bars are pale.
  context.fillStyle = bar.state === "done" ? colours.text : colours.surface;
  context.fillText(text, Math.max(0, left) + 5, y + BAR_HEIGHT / 2 + 0.5);
}
