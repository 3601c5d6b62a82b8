import { useQuery } from "@tanstack/react-query";
import { memo, useRef, useState, type PointerEvent } from "react";

import { api } from "@/api/client";
import type { Counts, NodeStates } from "@/api/schema";
import { paletteOf } from "@/components/canvas";
import { useRepaint } from "@/components/useRepaint";
import { setQuery } from "@/lib/location";
import type { PipelineSession } from "@/live/session";
import { cellAt, gridFor } from "@/model/stateGrid";
import { stateLabel, total } from "@/model/states";
import { CELL_STATES, paintGrid } from "@/pages/pipeline/node/paintGrid";

/** Smaller groups fit into the tree. */
const MIN_COMMANDS = 30;
const REFRESH_MS = 1000;

interface Props {
  session: PipelineSession;
  path: string;
  counts: Counts | null;
}

/** A grid with one cell per command below a group. */
export function StateGrid({ session, path, counts }: Props) {
  const count = counts === null ? 0 : total(counts);
  const { settled = true, seq = 0 } = session.model?.summary ?? {};
  return count < MIN_COMMANDS ? null : (
    <Grid id={session.id} path={path} count={count} settledAt={settled ? seq : null} />
  );
}

interface GridProps {
  id: string;
  path: string;
  count: number;
  /** Newest change of a settled pipeline; null while it is active and must be polled. */
  settledAt: number | null;
}

/** Drawing 100,000 cells takes a frame, so do not redraw on every event. */
const Grid = memo(function Cells({ id, path, count, settledAt }: GridProps) {
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
  const [hovered, setHovered] = useState<number | null>(null);
  const [width, setWidth] = useState(0);
  const canvas = useRef<HTMLCanvasElement>(null);
  const letters = newer(names.data, states.data)?.states ?? "";
  const grid = gridFor(letters.length, width);
  useRepaint(canvas, () => {
    const place = canvas.current;
    if (place === null) return;
    // The height depends on the width: paint again at the new size.
    if (place.clientWidth !== width) setWidth(place.clientWidth);
    else paintGrid(place, grid, letters, hovered, paletteOf(place));
  });
  const at = (event: PointerEvent) =>
    cellAt(grid, event.nativeEvent.offsetX, event.nativeEvent.offsetY);
  const pathOf = (cell: number) => {
    const name = names.data?.names[cell];
    return name === undefined ? null : `${path === "/" ? "" : path}/${name}`;
  };
  const name = hovered === null ? null : pathOf(hovered);
  const state = CELL_STATES[letters[hovered ?? -1] ?? ""];
  return (
    <section className="cells" aria-label="Commands by state">
      <canvas
        ref={canvas}
        aria-hidden
        style={{ height: grid.height }}
        onPointerMove={(event) => setHovered(at(event))}
        onPointerLeave={() => setHovered(null)}
        onClick={(event) => {
          const cell = cellAt(grid, event.nativeEvent.offsetX, event.nativeEvent.offsetY);
          const node = cell === null ? null : pathOf(cell);
          if (node !== null) setQuery({ node, attempt: null });
        }}
      />
      <p className="cells-foot muted clip">
        {name === null ? (
          <GridCaption count={letters.length} complete={names.data?.complete !== false} />
        ) : (
          <>
            <span className="mono">{name}</span>{" "}
            {state === undefined ? "" : `· ${stateLabel(state)}`}
          </>
        )}
      </p>
    </section>
  );
});

/** The newer of two responses, because a cached one may be outdated. */
function newer(one: NodeStates | undefined, other: NodeStates | undefined) {
  if (one === undefined || other === undefined) return one ?? other;
  return one.seq > other.seq ? one : other;
}

function GridCaption({ count, complete }: { count: number; complete: boolean }) {
  const many = count.toLocaleString("en");
  return complete
    ? `${many} commands in order. Hover for the name, click to open.`
    : `Showing the first ${many} commands. Select a subgroup to see the others.`;
}
