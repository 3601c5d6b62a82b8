/** The rows of the tree as a narrow strip: the state that needs most attention, for each pixel. */

import type { Row } from "@/run/tree/model/rows";
import { type DisplayState, displayState } from "@/run/model/states";

/** States by increasing attention; a pixel shows the last one of its rows. */
export const MINIMAP_STATES = [
  "pending",
  "skipped",
  "done",
  "queued",
  "running",
  "killed",
  "error",
] as const;

/** Drawn as one of `MINIMAP_STATES`. */
const ALIASES: Partial<Record<DisplayState, (typeof MINIMAP_STATES)[number]>> = {
  approval: "queued",
  warning: "done",
  paused: "pending",
  scheduled: "pending",
};
/** Failures are at least this high, in pixels, so that a single failure is visible. */
const MIN_FAILURE = 2;
const FAILED = MINIMAP_STATES.indexOf("killed");

/** Index of the state of each pixel; -1 for none. */
export function minimapOf(rows: readonly Row[], height: number): Int8Array {
  const pixels = new Int8Array(Math.max(0, height)).fill(-1);
  for (const [at, row] of rows.entries()) {
    const rank = rankOf(row);
    const from = Math.floor((at * height) / rows.length);
    const least = rank >= FAILED ? MIN_FAILURE : 1;
    const to = Math.max(from + least, Math.floor(((at + 1) * height) / rows.length));
    for (let y = from; y < to && y < height; y += 1) {
      if (rank > (pixels[y] ?? -1)) pixels[y] = rank;
    }
  }
  return pixels;
}

/** Open groups have no color of their own: the rows below them have. */
function rankOf(row: Row): number {
  if (row.kind === "more") return 0;
  if (row.kind === "node" && row.open === true) return -1;
  const state = row.kind === "fold" ? row.fold.state : displayState(row.node);
  return MINIMAP_STATES.indexOf(ALIASES[state] ?? (state as (typeof MINIMAP_STATES)[number]));
}
