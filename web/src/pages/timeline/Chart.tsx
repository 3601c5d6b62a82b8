import { useVirtualizer } from "@tanstack/react-virtual";
import {
  useEffect,
  useId,
  useMemo,
  useRef,
  useState,
  type KeyboardEvent,
  type PointerEvent,
} from "react";

import { paletteOf } from "@/components/canvas";
import { useRepaint } from "@/components/useRepaint";
import { useWheel } from "@/components/useWheel";
import { navigate, pipelineUrl } from "@/lib/location";
import { plural } from "@/lib/time";
import { visible } from "@/lib/visible";
import type { Medians } from "@/live/useMedians";
import type { Chart as ChartModel } from "@/model/chart";
import { type Bar, endOf, type Lane, type Range } from "@/model/lanes";
import { barAt } from "@/model/timeline";
import { padded, panned, zoomed } from "@/model/timescale";
import { BarDetails } from "@/pages/timeline/BarDetails";
import styles from "@/pages/timeline/Chart.module.css";
import { GroupDetails } from "@/pages/timeline/GroupDetails";
import { LaneLabel } from "@/pages/timeline/LaneLabel";
import { Legend } from "@/pages/timeline/Legend";
import { paintAxis, paintBars, ROW, type Scene } from "@/pages/timeline/paint";
import { PathSummary } from "@/pages/timeline/PathSummary";
import { Toolbar } from "@/pages/timeline/Toolbar";
import { CHART } from "@/strings/timeline";

interface Props {
  id: string;
  chart: ChartModel;
  /** Index of the only round that is shown; null for all. */
  only: number | null;
  medians: Medians;
  /** Focus the chart, because the user opened it from a row. */
  takesFocus: boolean;
  onEnter: (path: string) => void;
  byWorker: boolean;
}

/** A position that survives reordering and reloading. */
interface Position {
  lane: string;
  bar: Pick<Bar, "path" | "number"> | null;
}

/** Distance in px within which a bar counts as hit, and the minimum length of a drag. */
const TOLERANCE = 5;
const ZOOM = 1.6;

export function Chart({ id, chart, only, medians, takesFocus, onEnter, byWorker }: Props) {
  const { data } = chart;
  const { lanes, extent, critical, now } = data;
  const [zoom, setZoom] = useState<Range | null>(null);
  const [chosen, setChosen] = useState<Position | null>(null);
  const [hovered, setHovered] = useState<(Position & { time: number }) | null>(null);
  const [onlyCritical, setOnlyCritical] = useState(false);
  const [drag, setDrag] = useState<Range | null>(null);
  const [scrollTop, setScrollTop] = useState(0);
  const scroll = useRef<HTMLDivElement>(null);
  const bars = useRef<HTMLCanvasElement>(null);
  const axis = useRef<HTMLCanvasElement>(null);
  const names = useId();
  const whole = useMemo(() => padded(extent), [extent]);
  const view = zoom ?? whole;
  const virtual = useVirtualizer({
    count: lanes.length,
    getScrollElement: () => scroll.current,
    estimateSize: () => ROW,
    overscan: 6,
  });

  const wantsFocus = useRef(takesFocus);
  useEffect(() => {
    if (wantsFocus.current) scroll.current?.focus();
  }, []);
  const enter = (path: string) => {
    setChosen(null);
    setHovered(null);
    setZoom(null);
    onEnter(path);
  };

  const chosenAt = chosen === null ? -1 : lanes.findIndex((lane) => lane.key === chosen.lane);
  const chosenLane = lanes[chosenAt];
  const chosenBar = barOf(chosenLane, chosen);
  const hoveredLane = lanes.find((lane) => lane.key === hovered?.lane);
  const hoveredBar = barOf(hoveredLane, hovered);
  const scene: Scene = {
    lanes,
    view,
    rounds: data.rounds,
    now,
    scrollTop,
    byWorker,
    critical,
    onlyCritical,
    chosen: chosenBar,
    chosenLane: chosenAt,
    drag,
  };
  useRepaint(bars, () => {
    if (bars.current === null || axis.current === null) return;
    const colours = paletteOf(bars.current);
    paintBars(bars.current, scene, colours);
    paintAxis(axis.current, scene, colours);
  });

  const zoomBy = (factor: number, around = (view.from + view.to) / 2) =>
    setZoom(orNull(zoomed(view, whole, factor, around), whole));
  useWheel(bars, (event) => {
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      zoomBy(event.deltaY > 0 ? ZOOM : 1 / ZOOM, timeAt(event.offsetX));
      return;
    }
    const across = event.shiftKey ? event.deltaY : event.deltaX;
    if (across === 0 || zoom === null) return;
    event.preventDefault();
    setZoom(panned(view, whole, across / 800));
  });

  const timeAt = (x: number) =>
    view.from + (x / Math.max(1, bars.current?.clientWidth ?? 1)) * (view.to - view.from);
  const tolerance = timeAt(TOLERANCE) - timeAt(0);
  const hit = (event: PointerEvent): { at: number; time: number; bar: Bar | null } | null => {
    const at = Math.floor((event.nativeEvent.offsetY + scrollTop) / ROW);
    const lane = lanes[at];
    if (lane === undefined) return null;
    const time = timeAt(event.nativeEvent.offsetX);
    return { at, time, bar: barAt(lane, time, tolerance, now) };
  };
  const choose = (at: number, bar: Bar | null) => {
    const lane = lanes[at];
    if (lane === undefined || (lane.group === undefined && bar === null)) return;
    setChosen({ lane: lane.key, bar });
    virtual.scrollToIndex(at, { align: "auto" });
  };
  const open = (bar: Bar) =>
    navigate(
      `${pipelineUrl(id, bar.path)}&${new URLSearchParams({ attempt: String(bar.number) })}`,
    );

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const go = (to: number) => {
      const next = Math.max(0, Math.min(lanes.length - 1, to));
      const inLane = lanes[next]?.bars ?? [];
      choose(next, inLane.find((bar) => endOf(bar, now) >= view.from) ?? inLane[0] ?? null);
    };
    const along = (step: number) => {
      const inLane = chosenLane?.bars ?? [];
      const place = inLane.findIndex((bar) => bar === chosenBar);
      choose(chosenAt, inLane[Math.max(0, Math.min(inLane.length - 1, place + step))] ?? null);
    };
    const page = Math.max(1, Math.floor((scroll.current?.clientHeight ?? ROW) / ROW) - 1);
    const keys: Record<string, () => void> = {
      ArrowDown: () => go(chosenAt + 1),
      ArrowUp: () => go(chosenAt - 1),
      PageDown: () => go(chosenAt + page),
      PageUp: () => go(chosenAt - page),
      Home: () => go(0),
      End: () => go(lanes.length - 1),
      ArrowRight: () => along(1),
      ArrowLeft: () => along(-1),
      Enter: () => {
        if (chosenLane?.group !== undefined) enter(chosenLane.key);
        else if (chosenBar !== null) open(chosenBar);
      },
      "+": () => zoomBy(1 / ZOOM),
      "=": () => zoomBy(1 / ZOOM),
      "-": () => zoomBy(ZOOM),
      "0": () => setZoom(null),
      "[": () => setZoom(orNull(panned(view, whole, -0.4), whole)),
      "]": () => setZoom(orNull(panned(view, whole, 0.4), whole)),
    };
    const work = keys[event.key];
    if (work === undefined) return;
    event.preventDefault();
    // The keyboard takes over from the pointer.
    setHovered(null);
    work();
  };

  const press = (at: number, bar: Bar | null) => {
    const pressed = lanes[at];
    if (pressed?.group !== undefined) enter(pressed.key);
    else choose(at, bar);
  };
  // Show details of the hovered item, otherwise of the selected one.
  const isHovering = hoveredBar !== null || hoveredLane?.group !== undefined;
  const shownLane = isHovering ? hoveredLane : chosenLane;
  const shownBar = isHovering ? hoveredBar : chosenBar;
  return (
    <>
      <Toolbar
        data={data}
        rounds={chart.rounds}
        only={only}
        byWorker={byWorker}
        isZoomed={zoom !== null}
        onlyCritical={onlyCritical}
        onZoomIn={() => zoomBy(1 / ZOOM)}
        onZoomOut={() => zoomBy(ZOOM)}
        onShowAll={() => setZoom(null)}
        onOnlyCritical={setOnlyCritical}
      />
      <PathSummary id={id} path={chart.path} label={chart.described.label} medians={medians} />
      <Legend
        groups={data.grouped === true}
        bars={lanes.some((lane) => lane.group === undefined)}
      />
      <div className={styles.axis}>
        <span className={`${styles.corner} muted`}>
          {plural(lanes.length, byWorker ? "worker" : data.grouped === true ? "row" : "node")}
        </span>
        <canvas ref={axis} aria-hidden />
      </div>
      <div
        ref={scroll}
        className={styles.scroll}
        role="listbox"
        aria-label={byWorker ? CHART.workers : data.grouped === true ? CHART.groups : CHART.nodes}
        aria-describedby={`${names}-keys`}
        tabIndex={0}
        {...(chosenAt < 0 ? {} : { "aria-activedescendant": `${names}-${chosenAt}` })}
        onKeyDown={onKeyDown}
        onScroll={(event) => setScrollTop(event.currentTarget.scrollTop)}
      >
        <div className={styles.rows} role="presentation" style={{ height: virtual.getTotalSize() }}>
          <canvas
            ref={bars}
            className={styles.canvas}
            aria-hidden
            onPointerDown={(event) => {
              if (event.button !== 0) return;
              event.currentTarget.setPointerCapture(event.pointerId);
              const time = timeAt(event.nativeEvent.offsetX);
              setDrag({ from: time, to: time });
            }}
            onPointerMove={(event) => {
              if (drag !== null) {
                setDrag({ from: drag.from, to: timeAt(event.nativeEvent.offsetX) });
                return;
              }
              const found = hit(event);
              const lane = found === null ? undefined : lanes[found.at];
              if (found === null || lane === undefined) {
                setHovered(null);
                return;
              }
              // Details of a group depend on the time, details of a bar do not.
              const isNew = lane !== hoveredLane || found.bar !== hoveredBar;
              if (isNew || lane.group !== undefined) {
                setHovered({ lane: lane.key, bar: found.bar, time: found.time });
              }
            }}
            onPointerLeave={() => setHovered(null)}
            onPointerCancel={() => setDrag(null)}
            onPointerUp={(event) => {
              if (drag === null) return;
              setDrag(null);
              const [from, to] = [Math.min(drag.from, drag.to), Math.max(drag.from, drag.to)];
              if (to - from > tolerance) {
                const factor = (to - from) / (view.to - view.from);
                const next = zoomed({ from, to }, whole, 1, (from + to) / 2);
                if (factor < 1) setZoom(orNull(next, whole));
                return;
              }
              const found = hit(event);
              if (found !== null) press(found.at, found.bar);
            }}
            onDoubleClick={() => {
              if (chosenBar !== null) open(chosenBar);
            }}
          />
          {virtual.getVirtualItems().map((item) => {
            const lane = lanes[item.index];
            return lane === undefined ? null : (
              <div
                key={lane.key}
                id={`${names}-${item.index}`}
                role="option"
                aria-selected={item.index === chosenAt}
                className={styles.label}
                style={{ transform: `translateY(${item.start}px)` }}
                title={visible(lane.label)}
                onClick={() => press(item.index, lane.bars.at(-1) ?? null)}
              >
                <LaneLabel lane={lane} id={id} byWorker={byWorker} />
              </div>
            );
          })}
        </div>
      </div>
      <p id={`${names}-keys`} className="sr-only">
        {CHART.keysHelp}
      </p>
      {shownLane?.group === undefined ? (
        <BarDetails
          id={id}
          bar={shownBar}
          critical={shownBar !== null && critical.has(shownBar)}
          grouped={data.grouped === true}
          now={now}
        />
      ) : (
        <GroupDetails
          id={id}
          path={shownLane.key}
          group={shownLane.group}
          time={isHovering ? (hovered?.time ?? null) : null}
          onEnter={() => enter(shownLane.key)}
        />
      )}
    </>
  );
}

function barOf(lane: Lane | undefined, spot: Position | null): Bar | null {
  const wanted = spot?.bar ?? null;
  if (wanted === null) return null;
  const { path, number } = wanted;
  return lane?.bars.find((bar) => bar.number === number && bar.path === path) ?? null;
}

/** The full range is not a zoom, so that it grows with the data. */
function orNull(view: Range, whole: Range): Range | null {
  return view.from <= whole.from && view.to >= whole.to ? null : view;
}
