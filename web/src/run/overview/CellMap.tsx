import { useQuery } from "@tanstack/react-query";
import { memo, useLayoutEffect, useMemo, useRef, useState } from "react";

import { api } from "@/api/client";
import type { Counts, NodeStates } from "@/api/schema";
import { paletteOf } from "@/components/canvas";
import { Pending } from "@/components/InOrder";
import { StaleBadge } from "@/components/StaleBadge";
import { useFirst } from "@/components/useFirst";
import { useRepaint } from "@/components/useRepaint";
import { followLink, pipelineUrl, setQuery } from "@/lib/location";
import { plural } from "@/lib/time";
import { visible } from "@/lib/visible";
import type { PipelineSession } from "@/run/live/session";
import { type CellGroup, cellGroups, failedIn } from "@/run/overview/model/cellMap";
import { cellAt, gridFor } from "@/run/overview/model/stateGrid";
import { stateLabel, total } from "@/run/model/states";
import { CELL_STATES, paintGrid } from "@/run/overview/paintGrid";
import styles from "@/run/overview/CellMap.module.css";
import shared from "@/run/overview/Overview.module.css";

/** Smaller groups fit into the tree. */
const MIN_COMMANDS = 30;
const REFRESH_MS = 1000;
/** Maximum heights in px of a single map and of the map of a group. */
const SINGLE_HEIGHT = 168;
const GROUP_HEIGHT = 48;
const NO_NAMES: readonly string[] = [];

interface Props {
  session: PipelineSession;
  path: string;
  counts: Counts | null;
}

/** A map with one cell for each command below a group. */
export function CellMap({ session, path, counts }: Props) {
  const count = counts === null ? 0 : total(counts);
  const { settled = true, seq = 0 } = session.model?.summary ?? {};
  return count < MIN_COMMANDS ? null : (
    <Map id={session.id} path={path} count={count} settledAt={settled ? seq : null} />
  );
}

interface MapProps {
  id: string;
  path: string;
  count: number;
  /** Newest change of a settled pipeline; null while it is active and must be polled. */
  settledAt: number | null;
}

/** Drawing 100,000 cells takes a frame, so do not redraw on every event. */
const Map = memo(function Cells({ id, path, count, settledAt }: MapProps) {
  const names = useQuery({
    queryKey: ["names", id, path, count],
    queryFn: ({ signal }) => api.states(id, { root: path, names: true }, signal),
    staleTime: Infinity,
    gcTime: 0, // a Lazy may generate as many nodes with other names
  });
  const states = useQuery({
    queryKey: ["states", id, path, settledAt],
    queryFn: ({ signal }) => api.states(id, { root: path }, signal),
    refetchInterval: settledAt === null ? REFRESH_MS : false,
    placeholderData: (before) => before,
    enabled: names.data !== undefined && (settledAt === null || names.data.seq < settledAt),
  });
  const first = useFirst(names.isLoading);
  const [hovered, setHovered] = useState<number | null>(null);
  const letters = newer(names.data, states.data)?.states ?? "";
  const known = names.data?.names ?? NO_NAMES;
  const pathOf = (cell: number) => {
    const name = known[cell];
    return name === undefined ? null : `${path === "/" ? "" : path}/${name}`;
  };
  const open = (cell: number) => {
    const node = pathOf(cell);
    if (node !== null) setQuery({ node, attempt: null });
  };
  const groups = useMemo(() => cellGroups(known), [known]);
  if (first) return <Pending />;
  const cells = { onHover: setHovered, onOpen: open, hovered };
  return (
    <section className={shared.section} aria-label="Commands by state">
      <h3>
        {groups === null ? "Commands" : "Commands by group"}
        {settledAt === null ? <StaleBadge query={states} every={REFRESH_MS} /> : null}
        <span className={shared.note}>{captionOf(letters.length, names.data)}</span>
      </h3>
      {groups === null ? (
        <Canvas {...cells} states={letters} from={0} height={SINGLE_HEIGHT} />
      ) : (
        <div className={styles.map}>
          {groups.map((group) => {
            const part = letters.slice(group.from, group.from + group.count);
            const failed = failedIn(part);
            return (
              <div
                key={group.from}
                className={`${styles.group} ${failed > 0 ? styles.failed : ""}`}
              >
                <GroupHead id={id} path={path} group={group} failed={failed} />
                <Canvas {...cells} states={part} from={group.from} height={GROUP_HEIGHT} />
              </div>
            );
          })}
        </div>
      )}
      <p className={`${styles.foot} clip`}>
        {hovered === null ? "" : describe(pathOf(hovered), letters[hovered])}
      </p>
    </section>
  );
});

interface HeadProps {
  id: string;
  path: string;
  group: CellGroup;
  failed: number;
}

function GroupHead({ id, path, group, failed }: HeadProps) {
  const node = `${path === "/" ? "" : path}/${group.name}`;
  const leaf = group.name.split("/").at(-1) ?? group.name;
  return (
    <p className={styles.head}>
      <a href={pipelineUrl(id, node)} onClick={followLink} className="clip" title={visible(node)}>
        {visible(leaf)}
      </a>
      {failed === 0 ? null : (
        <span className={`${styles.count} number`} aria-label={`${failed} failed`}>
          {failed.toLocaleString("en")}
        </span>
      )}
    </p>
  );
}

interface CanvasProps {
  states: string;
  /** Index of the first cell among all cells. */
  from: number;
  height: number;
  hovered: number | null;
  onHover: (cell: number | null) => void;
  onOpen: (cell: number) => void;
}

const Canvas = memo(function Drawn({ states, from, height, hovered, ...on }: CanvasProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => setWidth(canvas.current?.clientWidth ?? 0), []);
  const grid = gridFor(states.length, width, height);
  const inside = hovered !== null && hovered >= from && hovered < from + states.length;
  useRepaint(canvas, () => {
    const place = canvas.current;
    if (place === null) return;
    // The height depends on the width: paint again at the new size.
    if (place.clientWidth !== width) setWidth(place.clientWidth);
    else paintGrid(place, grid, states, inside ? hovered - from : null, paletteOf(place));
  });
  const at = ({ nativeEvent }: { nativeEvent: MouseEvent }) => {
    const cell = cellAt(grid, nativeEvent.offsetX, nativeEvent.offsetY);
    return cell === null ? null : cell + from;
  };
  return (
    <canvas
      ref={canvas}
      className={styles.canvas}
      aria-hidden
      style={{ height: grid.height }}
      onPointerMove={(event) => on.onHover(at(event))}
      onPointerLeave={() => on.onHover(null)}
      onClick={(event) => {
        const cell = at(event);
        if (cell !== null) on.onOpen(cell);
      }}
    />
  );
});

/** The newer of two responses, because a cached one may be outdated. */
function newer(one: NodeStates | undefined, other: NodeStates | undefined) {
  if (one === undefined || other === undefined) return one ?? other;
  return one.seq > other.seq ? one : other;
}

function captionOf(count: number, names: NodeStates | undefined): string {
  return names?.complete === false
    ? `the first ${count.toLocaleString("en")}; select a subgroup to see the others`
    : `${plural(count, "command")} in order. Hover for the name, click to open.`;
}

function describe(path: string | null, letter: string | undefined): string {
  const state = CELL_STATES[letter ?? ""];
  return path === null
    ? ""
    : `${visible(path)}${state === undefined ? "" : ` · ${stateLabel(state)}`}`;
}
