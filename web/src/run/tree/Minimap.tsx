import { useMemo, useRef, useState, type PointerEvent, type RefObject } from "react";

import { paletteOf, prepared } from "@/components/canvas";
import { useRepaint } from "@/components/useRepaint";
import { useThrottled } from "@/lib/useThrottled";
import { MINIMAP_STATES, minimapOf } from "@/run/tree/model/minimap";
import type { Row } from "@/run/tree/model/rows";
import styles from "@/run/tree/Minimap.module.css";

/** Rows may change in every frame; the strip follows at this interval, in ms. */
const REFRESH_MS = 250;

interface Props {
  rows: readonly Row[];
  scroll: RefObject<HTMLElement | null>;
}

/** A strip beside the scrollbar with the states of all rows; a click scrolls there. */
export function Minimap({ rows, scroll }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [height, setHeight] = useState(0);
  const shown = useThrottled(rows, REFRESH_MS);
  const pixels = useMemo(() => minimapOf(shown, height), [shown, height]);
  // The tree renders when it scrolls, so that the frame follows.
  useRepaint(canvas, () => {
    const { current: place } = canvas;
    if (place === null) return;
    if (place.clientHeight !== height) setHeight(place.clientHeight);
    else if (scroll.current !== null) paint(place, pixels, scroll.current);
  });
  const scrollTo = ({ nativeEvent: { offsetY } }: PointerEvent) => {
    const list = scroll.current;
    if (list === null || height === 0) return;
    list.scrollTop = (offsetY / height) * list.scrollHeight - list.clientHeight / 2;
  };
  return (
    <canvas
      ref={canvas}
      className={styles.map}
      aria-hidden
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        scrollTo(event);
      }}
      onPointerMove={(event) => {
        if (event.buttons > 0) scrollTo(event);
      }}
    />
  );
}

function paint(canvas: HTMLCanvasElement, pixels: Int8Array, list: HTMLElement): void {
  const context = prepared(canvas);
  if (context === null) return;
  const colours = paletteOf(canvas);
  const width = canvas.clientWidth;
  let from = 0;
  while (from < pixels.length) {
    const rank = pixels[from] ?? -1;
    let to = from + 1;
    while (to < pixels.length && pixels[to] === rank) to += 1;
    const state = MINIMAP_STATES[rank];
    if (state !== undefined) {
      context.fillStyle = colours[state];
      context.fillRect(1, from, width - 2, to - from);
    }
    from = to;
  }
  const share = pixels.length / Math.max(1, list.scrollHeight);
  context.strokeStyle = colours.text;
  context.strokeRect(
    0.5,
    Math.round(list.scrollTop * share) + 0.5,
    width - 1,
    Math.max(4, Math.round(list.clientHeight * share) - 1),
  );
}
