import { useLayoutEffect, useRef, type RefObject } from "react";

import { anchorsIn, shiftOf } from "@/model/anchor";
import type { Row } from "@/model/rows";

interface Place {
  order: number;
  from: number;
  anchors: string[];
}

/**
 * Hold what is in view where it is when rows change places above it.
 *
 * `order` moves when they may have. At the top nothing is held: what comes first is to be seen.
 */
export function useAnchor(
  scroll: RefObject<HTMLDivElement | null>,
  rows: readonly Row[],
  order: number,
  height: number,
): void {
  const before = useRef<Place | null>(null);
  useLayoutEffect(() => {
    const box = scroll.current;
    if (box === null) return;
    const held = before.current;
    if (held !== null && held.order !== order && box.scrollTop >= height) {
      box.scrollTop += shiftOf(held.anchors, held.from, rows) * height;
    }
    const from = Math.floor(box.scrollTop / height);
    const to = from + Math.ceil(box.clientHeight / height);
    before.current = { order, from, anchors: anchorsIn(rows, from, to) };
  });
}
