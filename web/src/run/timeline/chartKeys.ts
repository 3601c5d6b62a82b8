/** The keys of the timeline's chart. */

import { type Bar, endOf, type Lane } from "@/run/timeline/model/lanes";
import type { Spot } from "@/run/timeline/useSpots";
import { type Zoom, ZOOM_STEP } from "@/run/timeline/useZoom";

interface Context {
  lanes: readonly Lane[];
  now: number;
  zoom: Zoom;
  chosen: Spot;
  /** Number of rows of a page. */
  page: number;
  choose: (at: number, bar: Bar | null) => void;
  open: (bar: Bar) => void;
  toggle: (lane: Lane, open: boolean) => void;
}

/** The work of a key; undefined if it has none. */
export function chartKey(key: string, context: Context): (() => void) | undefined {
  const { lanes, zoom, page } = context;
  const { at } = context.chosen;
  const keys: Record<string, () => void> = {
    ArrowDown: () => goTo(context, at + 1),
    ArrowUp: () => goTo(context, at - 1),
    PageDown: () => goTo(context, at + page),
    PageUp: () => goTo(context, at - page),
    Home: () => goTo(context, 0),
    End: () => goTo(context, lanes.length - 1),
    ArrowRight: () => goAlong(context, 1),
    ArrowLeft: () => goAlong(context, -1),
    Enter: () => enter(context),
    "+": () => zoom.by(1 / ZOOM_STEP),
    "=": () => zoom.by(1 / ZOOM_STEP),
    "-": () => zoom.by(ZOOM_STEP),
    "0": zoom.reset,
    "[": () => zoom.pan(-0.4),
    "]": () => zoom.pan(0.4),
  };
  return keys[key];
}

function goTo({ lanes, now, zoom, choose }: Context, to: number): void {
  const next = Math.max(0, Math.min(lanes.length - 1, to));
  const bars = lanes[next]?.bars ?? [];
  choose(next, bars.find((bar) => endOf(bar, now) >= zoom.view.from) ?? bars[0] ?? null);
}

/** Open or close a group, go from it to its first row, or from an attempt to the next. */
function goAlong(context: Context, step: 1 | -1): void {
  const { lane, at, bar } = context.chosen;
  if (lane?.group !== undefined) {
    if (lane.open !== step > 0) context.toggle(lane, step > 0);
    else goTo(context, step > 0 ? at + 1 : above(context.lanes, at));
    return;
  }
  const bars = lane?.bars ?? [];
  const place = bars.findIndex((one) => one === bar);
  if (step < 0 && place <= 0 && (lane?.depth ?? 0) > 0) {
    goTo(context, above(context.lanes, at));
    return;
  }
  context.choose(at, bars[Math.max(0, Math.min(bars.length - 1, place + step))] ?? null);
}

/** The index of the group's row, or the row itself if it is in none. */
function above(lanes: readonly Lane[], at: number): number {
  const depth = lanes[at]?.depth ?? 0;
  if (depth === 0) return at;
  return lanes.findLastIndex((lane, index) => index < at && (lane.depth ?? 0) < depth);
}

function enter({ chosen: { lane, bar }, open, toggle }: Context): void {
  if (lane?.group !== undefined) toggle(lane, lane.open !== true);
  else if (bar !== null) open(bar);
}
