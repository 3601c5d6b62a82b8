import { useLayoutEffect, useRef, type RefObject } from "react";

import type { Row } from "@/run/tree/model/rows";
import { rowShift, visibleKeys } from "@/run/tree/model/scrollAnchor";

interface Place {
  order: number;
  from: number;
  anchors: string[];
}

/**
 * Keeps visible rows in place when rows above them move. `order` changes whenever they may have. At
 * the top, nothing is kept, so that new first rows are visible.
 */
export function useScrollAnchor(
  scroll: RefObject<HTMLDivElement | null>,
  rows: readonly Row[],
  order: number,
  height: number,
): void {
  const before = useRef<Place | null>(null);
  useLayoutEffect(() => {
    const box = scroll.current;
    if (box === null) return;
    const previous = before.current;
    if (previous !== null && previous.order !== order && box.scrollTop >= height) {
      box.scrollTop += rowShift(previous.anchors, previous.from, rows) * height;
    }
    const from = Math.floor(box.scrollTop / height);
    const to = from + Math.ceil(box.clientHeight / height);
    before.current = { order, from, anchors: visibleKeys(rows, from, to) };
  });
}
