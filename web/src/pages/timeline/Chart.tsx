import { useVirtualizer } from "@tanstack/react-virtual";
import {
  useEffect,
  useId,
  useMemo,
  useRef,
  useState,
  type KeyboardEvent,
  type PointerEvent,
  type RefObject,
} from "react";

import { navigate, pipelineUrl, setQuery } from "@/app/location";
import { duration, plural } from "@/lib/time";
import { padded, panned, zoomed } from "@/model/timescale";
import { barAt, type Bar, type Lane, type Range } from "@/model/timeline";
import { BarFacts } from "@/pages/timeline/BarFacts";
import { groupFacts, GroupFacts } from "@/pages/timeline/GroupFacts";
import { Legend } from "@/pages/timeline/Legend";
import { paintAxis, paintBars, ROW, type Scene } from "@/pages/timeline/paint";
import { Button } from "@/ui/Button";
import { paletteOf } from "@/ui/canvas";
import { useRepaint } from "@/ui/useRepaint";

export interface ChartData {
  lanes: readonly Lane[];
  /** Whether rows stand for groups; null where there is no choice. */
  grouped: boolean | null;
  extent: Range;
  /** The critical path, oldest first. */
  chain: readonly Bar[];
  attempts: number;
  now: number;
}

interface Props {
  id: string;
  data: ChartData;
  /** It was entered from the rows above, by a reader who goes on there. */
  takesFocus: boolean;
  onEnter: (path: string) => void;
  byWorker: boolean;
}

/** Px beside a bar that still count as on it, and that a drag takes at least. */
const SLACK = 5;
const ZOOM = 1.6;

export function Chart({ id, data, takesFocus, onEnter, byWorker }: Props) {
  const { lanes, extent, chain, now } = data;
  const [zoom, setZoom] = useState<Range | null>(null);
  const [chosen, setChosen] = useState<{ lane: number; key: string } | null>(null);
  const [hovered, setHovered] = useState<Bar | null>(null);
  const [over, setOver] = useState<{ lane: Lane; time: number } | null>(null);
  const [onlyCritical, setOnlyCritical] = useState(false);
  const [drag, setDrag] = useState<Range | null>(null);
  const [scrollTop, setScrollTop] = useState(0);
  const scroll = useRef<HTMLDivElement>(null);
  const bars = useRef<HTMLCanvasElement>(null);
  const axis = useRef<HTMLCanvasElement>(null);
  const names = useId();
  const whole = useMemo(() => padded(extent), [extent]);
  const view = zoom ?? whole;
  const critical = useMemo(() => new Set(chain), [chain]);
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
    setOver(null);
    setZoom(null);
    onEnter(path);
  };

  const chosenLane = chosen === null ? undefined : lanes[chosen.lane];
  const chosenBar = chosenLane?.bars.find((bar) => keyOf(bar) === chosen?.key) ?? null;
  const scene: Scene = {
    lanes,
    view,
    origin: extent.from,
    now,
    scrollTop,
    byWorker,
    critical,
    onlyCritical,
    chosen: chosenBar,
    chosenLane: chosen?.lane ?? null,
    drag,
  };
  useRepaint(bars, () => {
    if (bars.current === null || axis.current === null) return;
    const colours = paletteOf(bars.current);
    paintBars(bars.current, scene, colours);
    paintAxis(axis.current, scene, colours);
  });

  const zoomBy = (factor: number, around = (view.from + view.to) / 2) =>
    setZoom(settled(zoomed(view, whole, factor, around), whole));
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
  const hit = (event: PointerEvent): { lane: number; time: number; bar: Bar | null } | null => {
    const lane = Math.floor((event.nativeEvent.offsetY + scrollTop) / ROW);
    const found = lanes[lane];
    if (found === undefined) return null;
    const time = timeAt(event.nativeEvent.offsetX);
    return { lane, time, bar: barAt(found, time, timeAt(SLACK) - timeAt(0), now) };
  };
  const choose = (lane: number, bar: Bar | null | undefined) => {
    const isGroup = lanes[lane]?.group !== undefined;
    if (!isGroup && (bar === null || bar === undefined)) return;
    setChosen({ lane, key: bar === null || bar === undefined ? "" : keyOf(bar) });
    virtual.scrollToIndex(lane, { align: "auto" });
  };
  const open = (bar: Bar) =>
    navigate(
      `${pipelineUrl(id, bar.path)}&${new URLSearchParams({ attempt: String(bar.number) })}`,
    );

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const at = chosen?.lane ?? -1;
    const nearest = (lane: number) => {
      const bars_ = lanes[lane]?.bars;
      return bars_?.find((bar) => (bar.ended ?? now) >= view.from) ?? bars_?.[0];
    };
    const go = (lane: number) => {
      const next = Math.max(0, Math.min(lanes.length - 1, lane));
      choose(next, nearest(next));
    };
    const along = (step: number) => {
      const list = chosenLane?.bars ?? [];
      const place = list.findIndex((bar) => bar === chosenBar);
      choose(at, list[Math.max(0, Math.min(list.length - 1, place + step))]);
    };
    const page = Math.max(1, Math.floor((scroll.current?.clientHeight ?? ROW) / ROW) - 1);
    const keys: Record<string, () => void> = {
      ArrowDown: () => go(at + 1),
      ArrowUp: () => go(at - 1),
      PageDown: () => go(at + page),
      PageUp: () => go(at - page),
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
      "[": () => setZoom(settled(panned(view, whole, -0.4), whole)),
      "]": () => setZoom(settled(panned(view, whole, 0.4), whole)),
    };
    const work = keys[event.key];
    if (work === undefined) return;
    event.preventDefault();
    // Where the pointer happens to rest counts no more.
    setHovered(null);
    setOver(null);
    work();
  };

  const press = (lane: number, bar: Bar | null | undefined) => {
    const pressed = lanes[lane];
    if (pressed?.group !== undefined) enter(pressed.key);
    else choose(lane, bar);
  };
  const shown = hovered ?? chosenBar;
  const shownLane = over?.lane ?? (hovered === null ? chosenLane : undefined);
  const took = chainLength(chain, now);
  return (
    <>
      <div className="tl-bar" role="toolbar" aria-label="Timeline">
        <div role="group" aria-label="Rows" className="output-streams">
          <Button aria-pressed={!byWorker} onClick={() => setQuery({ by: null }, true)}>
            By node
          </Button>
          <Button aria-pressed={byWorker} onClick={() => setQuery({ by: "worker" }, true)}>
            By worker
          </Button>
        </div>
        {data.grouped === null ? null : (
          <div role="group" aria-label="Nodes" className="output-streams">
            <Button aria-pressed={data.grouped} onClick={() => setQuery({ rows: "groups" }, true)}>
              Groups
            </Button>
            <Button aria-pressed={!data.grouped} onClick={() => setQuery({ rows: "all" }, true)}>
              Every node
            </Button>
          </div>
        )}
        <Button aria-label="See less time" shortcut="+" onClick={() => zoomBy(1 / ZOOM)}>
          +
        </Button>
        <Button aria-label="See more time" shortcut="-" onClick={() => zoomBy(ZOOM)}>
          −
        </Button>
        <Button shortcut="0" disabled={zoom === null} onClick={() => setZoom(null)}>
          All
        </Button>
        <Button
          aria-pressed={onlyCritical}
          title="The chain of commands that decided how long it took"
          onClick={() => setOnlyCritical(!onlyCritical)}
        >
          Critical path
        </Button>
        <span className="muted number">
          {plural(data.attempts, "attempt")}, {duration(extent.to - extent.from)}
          {took === null
            ? ""
            : `; critical path ${plural(chain.length, "command")}, ${duration(took)}`}
        </span>
      </div>
      <Legend
        groups={data.grouped === true}
        bars={lanes.some((lane) => lane.group === undefined)}
      />
      <div className="tl-axis">
        <span className="tl-corner muted">
          {plural(lanes.length, byWorker ? "worker" : data.grouped === true ? "row" : "node")}
        </span>
        <canvas ref={axis} aria-hidden />
      </div>
      <div
        ref={scroll}
        className="tl-scroll"
        role="listbox"
        aria-label={
          byWorker ? "Workers" : data.grouped === true ? "Groups that ran" : "Nodes that ran"
        }
        aria-describedby={`${names}-keys`}
        tabIndex={0}
        {...(chosen === null ? {} : { "aria-activedescendant": `${names}-${chosen.lane}` })}
        onKeyDown={onKeyDown}
        onScroll={(event) => setScrollTop(event.currentTarget.scrollTop)}
      >
        <div className="tl-rows" role="presentation" style={{ height: virtual.getTotalSize() }}>
          <canvas
            ref={bars}
            className="tl-canvas"
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
              const lane = found === null ? undefined : lanes[found.lane];
              setOver(
                found === null || lane?.group === undefined ? null : { lane, time: found.time },
              );
              const next = found?.bar ?? null;
              if (next !== hovered) setHovered(next);
            }}
            onPointerLeave={() => {
              setHovered(null);
              setOver(null);
            }}
            onPointerCancel={() => setDrag(null)}
            onPointerUp={(event) => {
              if (drag === null) return;
              setDrag(null);
              const [from, to] = [Math.min(drag.from, drag.to), Math.max(drag.from, drag.to)];
              if (to - from > timeAt(SLACK) - timeAt(0)) {
                const factor = (to - from) / (view.to - view.from);
                const next = zoomed({ from, to }, whole, 1, (from + to) / 2);
                if (factor < 1) setZoom(settled(next, whole));
                return;
              }
              const found = hit(event);
              if (found !== null) press(found.lane, found.bar);
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
                aria-selected={item.index === chosen?.lane}
                className="tl-label"
                style={{ transform: `translateY(${item.start}px)` }}
                title={lane.label}
                onClick={() => press(item.index, lane.bars.at(-1))}
              >
                <LaneName lane={lane} id={id} byWorker={byWorker} />
                {lane.group === undefined ? null : (
                  <span className="tl-peak muted number" aria-hidden>
                    ≤ {lane.group.peak.toLocaleString("en")}
                  </span>
                )}
                <span className="sr-only">
                  ,{" "}
                  {lane.group === undefined ? attemptsOf(lane) : groupFacts(lane.group).join(", ")}
                </span>
              </div>
            );
          })}
        </div>
      </div>
      <p id={`${names}-keys`} className="sr-only">
        Arrow keys move between rows and attempts, plus and minus zoom, brackets move in time, Enter
        opens the node, or goes into the group.
      </p>
      {shownLane?.group === undefined ? (
        <BarFacts
          id={id}
          bar={shown}
          critical={shown !== null && critical.has(shown)}
          grouped={data.grouped === true}
          now={now}
        />
      ) : (
        <GroupFacts
          id={id}
          path={shownLane.key}
          group={shownLane.group}
          time={over?.time ?? null}
          onEnter={() => enter(shownLane.key)}
        />
      )}
    </>
  );
}

function attemptsOf({ bars }: Lane): string {
  return `${plural(bars.length, "attempt")}, ${bars.at(-1)?.state ?? ""}`;
}

/** Of a long path the end says most; of a container, what tells it from the pipeline's others. */
function LaneName({ lane, id, byWorker }: { lane: Lane; id: string; byWorker: boolean }) {
  const { label } = lane;
  if (byWorker) {
    return <span className="clip">{label.replace(`conducto_worker_${id}_`, "worker ")}</span>;
  }
  const name = label.lastIndexOf("/") + 1;
  return (
    <>
      <span className="tl-parent muted">{label.slice(0, name)}</span>
      <span className="clip">{label.slice(name)}</span>
    </>
  );
}

function keyOf(bar: Bar): string {
  return `${bar.number} ${bar.path}`;
}

/** The whole is no zoom: it grows with what comes. */
function settled(view: Range, whole: Range): Range | null {
  return view.from <= whole.from && view.to >= whole.to ? null : view;
}

function chainLength(chain: readonly Bar[], now: number): number | null {
  const [first] = chain;
  const last = chain.at(-1);
  if (first === undefined || last === undefined) return null;
  return (last.ended ?? now) - (first.queued ?? first.started ?? now);
}

/** React listens to wheels passively; a zoom must keep the page from zooming. */
function useWheel(
  element: RefObject<HTMLElement | null>,
  onWheel: (event: WheelEvent) => void,
): void {
  const newest = useRef(onWheel);
  useEffect(() => {
    newest.current = onWheel;
  });
  useEffect(() => {
    const target = element.current;
    const listener = (event: WheelEvent) => newest.current(event);
    target?.addEventListener("wheel", listener, { passive: false });
    return () => target?.removeEventListener("wheel", listener);
  }, [element]);
}
