import { useMemo, useState } from "react";

import type { Range } from "@/run/timeline/model/lanes";
import { padded, panned, zoomed } from "@/run/timeline/model/timescale";

/** Factor of one step. */
export const ZOOM_STEP = 1.6;

export interface Zoom {
  /** The range of time that is shown. */
  view: Range;
  isZoomed: boolean;
  /** Change the length of the range; a factor above 1 zooms out. */
  by: (factor: number, around?: number) => void;
  /** Move by a share of the length. */
  pan: (share: number) => void;
  to: (range: Range) => void;
  reset: () => void;
}

/** The zoom of a chart. The full range is not a zoom, so that it grows with the data. */
export function useZoom(extent: Range): Zoom {
  const [zoom, setZoom] = useState<Range | null>(null);
  const whole = useMemo(() => padded(extent), [extent]);
  const view = zoom ?? whole;
  const show = (next: Range) =>
    setZoom(next.from <= whole.from && next.to >= whole.to ? null : next);
  return {
    view,
    isZoomed: zoom !== null,
    by: (factor, around = (view.from + view.to) / 2) => show(zoomed(view, whole, factor, around)),
    pan: (share) => show(panned(view, whole, share)),
    to: (range) => show(zoomed(range, whole, 1, (range.from + range.to) / 2)),
    reset: () => setZoom(null),
  };
}
