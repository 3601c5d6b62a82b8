import { useRef, useState, type PointerEvent } from "react";

import { paletteOf } from "@/components/canvas";
import { useRepaint } from "@/components/useRepaint";
import { useWheel } from "@/components/useWheel";
import type { Bar, Lane, Range } from "@/run/timeline/model/lanes";
import { barAt } from "@/run/timeline/model/timeline";
import styles from "@/run/timeline/Chart.module.css";
import { paintAxis, paintBars, ROW, type Scene } from "@/run/timeline/paint";
import { type Zoom, ZOOM_STEP } from "@/run/timeline/useZoom";

/** Distance in px within which a bar counts as hit, and the minimum length of a drag. */
const TOLERANCE = 5;
/** Width in px that a turn of the wheel moves the view by. */
const WHEEL_PX = 800;

/** The scale of times above the bars. */
export function Axis({ scene }: { scene: Scene }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useRepaint(canvas, () => {
    if (canvas.current !== null) paintAxis(canvas.current, scene, paletteOf(canvas.current));
  });
  return <canvas ref={canvas} aria-hidden />;
}

interface Props {
  scene: Scene;
  zoom: Zoom;
  onHover: (lane: Lane, bar: Bar | null, time: number) => void;
  onLeave: () => void;
  onPress: (at: number, bar: Bar | null) => void;
  /** A double click. */
  onOpen: () => void;
}

/** The bars, which the pointer can choose; a drag zooms in. */
export function Bars({ scene, zoom, onHover, onLeave, onPress, onOpen }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [drag, setDrag] = useState<Range | null>(null);
  const { lanes, scrollTop, now } = scene;
  const { view } = zoom;
  useRepaint(canvas, () => {
    if (canvas.current !== null) paintBars(canvas.current, scene, drag, paletteOf(canvas.current));
  });
  const timeAt = (x: number) =>
    view.from + (x / Math.max(1, canvas.current?.clientWidth ?? 1)) * (view.to - view.from);
  const tolerance = timeAt(TOLERANCE) - timeAt(0);
  useWheel(canvas, (event) => {
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      zoom.by(event.deltaY > 0 ? ZOOM_STEP : 1 / ZOOM_STEP, timeAt(event.offsetX));
      return;
    }
    const across = event.shiftKey ? event.deltaY : event.deltaX;
    if (across === 0 || !zoom.isZoomed) return;
    event.preventDefault();
    zoom.pan(across / WHEEL_PX);
  });
  const hit = ({ nativeEvent: { offsetX, offsetY } }: PointerEvent) => {
    const at = Math.floor((offsetY + scrollTop) / ROW);
    const lane = lanes[at];
    const time = timeAt(offsetX);
    return lane === undefined ? null : { at, lane, time, bar: barAt(lane, time, tolerance, now) };
  };
  const onPointerDown = (event: PointerEvent) => {
    if (event.button !== 0) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    const time = timeAt(event.nativeEvent.offsetX);
    setDrag({ from: time, to: time });
  };
  const onPointerMove = (event: PointerEvent) => {
    if (drag !== null) {
      setDrag({ from: drag.from, to: timeAt(event.nativeEvent.offsetX) });
      return;
    }
    const found = hit(event);
    if (found === null) onLeave();
    else onHover(found.lane, found.bar, found.time);
  };
  const onPointerUp = (event: PointerEvent) => {
    if (drag === null) return;
    setDrag(null);
    const [from, to] = [Math.min(drag.from, drag.to), Math.max(drag.from, drag.to)];
    if (to - from > tolerance) {
      if (to - from < view.to - view.from) zoom.to({ from, to });
      return;
    }
    const found = hit(event);
    if (found !== null) onPress(found.at, found.bar);
  };
  return (
    <canvas
      ref={canvas}
      className={styles.canvas}
      aria-hidden
      onPointerDown={onPointerDown}
      onPointerMove={onPointerMove}
      onPointerLeave={onLeave}
      onPointerCancel={() => setDrag(null)}
      onPointerUp={onPointerUp}
      onDoubleClick={onOpen}
    />
  );
}
