import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useId, useRef, useState, type KeyboardEvent } from "react";

import { navigate, pipelineUrl } from "@/lib/location";
import { plural } from "@/lib/time";
import type { UsualTimes } from "@/run/live/useUsual";
import type { Chart as ChartModel, ChartData } from "@/run/timeline/model/chart";
import type { Bar, Lane } from "@/run/timeline/model/lanes";
import { Axis, Bars } from "@/run/timeline/Bars";
import styles from "@/run/timeline/Chart.module.css";
import { chartKey } from "@/run/timeline/chartKeys";
import { Details } from "@/run/timeline/Details";
import { LaneLabel } from "@/run/timeline/LaneLabel";
import { Legend } from "@/run/timeline/Legend";
import { ROW, type Scene } from "@/run/timeline/paint";
import { PathSummary } from "@/run/timeline/PathSummary";
import { Toolbar } from "@/run/timeline/Toolbar";
import { useSpots } from "@/run/timeline/useSpots";
import { useZoom } from "@/run/timeline/useZoom";

interface Props {
  id: string;
  chart: ChartModel;
  /** Index of the only round that is shown; null for all. */
  only: number | null;
  usual: UsualTimes;
  /** The stale commands, each with a file that changed. */
  stale: ReadonlyMap<string, string>;
  /** Focus the chart, because the user opened it from a row. */
  takesFocus: boolean;
  /** Show only a group. */
  onEnter: (path: string) => void;
  /** Open or close the rows of a group. */
  onToggle: (path: string, open: boolean) => void;
  byWorker: boolean;
}

export function Chart({ id, chart, only, usual, stale, byWorker, ...props }: Props) {
  const { data } = chart;
  const zoom = useZoom(data.extent);
  const spots = useSpots(data.lanes);
  const [onlyCritical, setOnlyCritical] = useState(false);
  const [scrollTop, setScrollTop] = useState(0);
  const { lanes } = data;
  const { chosen } = spots;
  const view = { view: zoom.view, scrollTop, byWorker, onlyCritical, stale };
  const scene: Scene = { ...data, ...view, chosen: chosen.bar, chosenLane: chosen.at };
  return (
    <>
      <Toolbar
        data={data}
        rounds={chart.rounds}
        only={only}
        byWorker={byWorker}
        zoom={zoom}
        onlyCritical={onlyCritical}
        onOnlyCritical={setOnlyCritical}
      />
      <PathSummary id={id} path={chart.path} label={chart.described.label} usual={usual} />
      <Legend
        groups={lanes.some((lane) => lane.open === false)}
        bars={lanes.some((lane) => lane.group === undefined)}
        stale={stale.size > 0}
      />
      <div className={styles.axis}>
        <span className={`${styles.corner} muted`}>{sizeOf(data, byWorker)}</span>
        <Axis scene={scene} />
      </div>
      <Rows {...{ id, scene, zoom, spots, onScroll: setScrollTop }} {...props} />
      <Details
        id={id}
        data={data}
        spots={spots}
        onEnter={(path) => {
          spots.clear();
          zoom.reset();
          props.onEnter(path);
        }}
      />
    </>
  );
}

/** `12 nodes`, or `3 rows` if some stand for several. */
function sizeOf({ lanes }: ChartData, byWorker: boolean): string {
  if (byWorker) return plural(lanes.length, "worker");
  if (lanes.some((lane) => lane.open === false)) return plural(lanes.length, "row");
  return plural(lanes.filter((lane) => lane.group === undefined).length, "node");
}

interface RowsProps extends Pick<Props, "id" | "takesFocus" | "onToggle"> {
  scene: Scene;
  zoom: ReturnType<typeof useZoom>;
  spots: ReturnType<typeof useSpots>;
  onScroll: (top: number) => void;
}

/** The names of the rows, and their bars. */
function Rows({ id, scene, zoom, spots, onScroll, takesFocus, onToggle }: RowsProps) {
  const { lanes, now, byWorker } = scene;
  const { chosen } = spots;
  const scroll = useRef<HTMLDivElement>(null);
  const names = useId();
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
  const choose = (at: number, bar: Bar | null) => {
    const lane = lanes[at];
    if (lane === undefined || (lane.group === undefined && bar === null)) return;
    spots.choose(lane, bar);
    virtual.scrollToIndex(at, { align: "auto" });
  };
  const toggle = (lane: Lane, open: boolean) => onToggle(lane.key, open);
  const open = (bar: Bar) =>
    navigate(
      `${pipelineUrl(id, bar.path)}&${new URLSearchParams({ attempt: String(bar.number) })}`,
    );
  const press = (at: number, bar: Bar | null) => {
    const lane = lanes[at];
    choose(at, bar);
    if (lane?.group !== undefined) toggle(lane, lane.open !== true);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor((scroll.current?.clientHeight ?? ROW) / ROW) - 1);
    const work = chartKey(event.key, { lanes, now, zoom, chosen, page, choose, open, toggle });
    if (work === undefined) return;
    event.preventDefault();
    // The keyboard takes over from the pointer.
    spots.leave();
    work();
  };
  return (
    <div
      ref={scroll}
      className={styles.scroll}
      role={byWorker ? "listbox" : "tree"}
      aria-label={byWorker ? "Workers" : "Nodes"}
      aria-describedby={`${names}-keys`}
      tabIndex={0}
      {...(chosen.at < 0 ? {} : { "aria-activedescendant": `${names}-${chosen.at}` })}
      onKeyDown={onKeyDown}
      onScroll={(event) => onScroll(event.currentTarget.scrollTop)}
    >
      <div className={styles.rows} role="presentation" style={{ height: virtual.getTotalSize() }}>
        <Bars
          scene={scene}
          zoom={zoom}
          onHover={spots.hover}
          onLeave={spots.leave}
          onPress={press}
          onOpen={() => {
            if (chosen.bar !== null) open(chosen.bar);
          }}
        />
        {virtual.getVirtualItems().map(({ index, start }) => {
          const lane = lanes[index];
          return lane === undefined ? null : (
            <LaneLabel
              key={lane.key}
              domId={`${names}-${index}`}
              lane={lane}
              id={id}
              byWorker={byWorker}
              selected={index === chosen.at}
              top={start}
              onPress={() => press(index, lane.bars.at(-1) ?? null)}
            />
          );
        })}
      </div>
      <p id={`${names}-keys`} className="sr-only">
        {byWorker
          ? "Use arrow keys to move between rows and attempts, plus and minus to zoom, brackets to pan, and Enter to open the node."
          : "Use up and down arrow keys to move between rows, left and right to open or close a group and to move between attempts, plus and minus to zoom, brackets to pan, and Enter to open the node or group."}
      </p>
    </div>
  );
}
