import { useQuery } from "@tanstack/react-query";
import { memo, useRef, useState, type PointerEvent } from "react";

import { api } from "@/api/client";
import type { Counts, NodeStates } from "@/api/schema";
import { paletteOf } from "@/components/canvas";
import { useRepaint } from "@/components/useRepaint";
import { setQuery } from "@/lib/location";
import type { PipelineSession } from "@/live/session";
import { cellAt, fieldOf } from "@/model/cells";
import { total } from "@/model/states";
import { CELL_STATES, paintCells } from "@/pages/pipeline/node/paintCells";

/** Fewer Execs than this are seen at once in the tree. */
const FEWEST = 30;
const REFRESH_MS = 1000;

interface Props {
  session: PipelineSession;
  path: string;
  counts: Counts | null;
}

/** Every Exec below a group as a cell: how thousands of them stand, at a glance. */
export function CellMap({ session, path, counts }: Props) {
  const count = counts === null ? 0 : total(counts);
  const { settled = true, seq = 0 } = session.model?.summary ?? {};
  return count < FEWEST ? null : (
    <Cells id={session.id} path={path} count={count} settledAt={settled ? seq : null} />
  );
}

interface CellsProps {
  id: string;
  path: string;
  count: number;
  /** The newest change; null while more are to come, which are asked for from time to time. */
  settledAt: number | null;
}

/** Drawing a hundred thousand cells takes a frame: not with each batch of changes. */
const Cells = memo(function Cells({ id, path, count, settledAt }: CellsProps) {
  const names = useQuery({
    queryKey: ["names", id, path, count],
    queryFn: ({ signal }) => api.states(id, { root: path, names: true }, signal),
    staleTime: Infinity,
    gcTime: 0, // a Lazy may come back with as many nodes of other names
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
  const letters = newest(names.data, states.data)?.states ?? "";
  const field = fieldOf(letters.length, width);
  useRepaint(canvas, () => {
    const place = canvas.current;
    if (place === null) return;
    // Its height follows from its width: it is painted again with the right one.
    if (place.clientWidth !== width) setWidth(place.clientWidth);
    else paintCells(place, field, letters, hovered, paletteOf(place));
  });
  const at = (event: PointerEvent) =>
    cellAt(field, event.nativeEvent.offsetX, event.nativeEvent.offsetY);
  const pathOf = (cell: number) => {
    const name = names.data?.names[cell];
    return name === undefined ? null : `${path === "/" ? "" : path}/${name}`;
  };
  const name = hovered === null ? null : pathOf(hovered);
  const state = CELL_STATES[letters[hovered ?? -1] ?? ""];
  return (
    <section className="cells" aria-label="All Execs at a glance">
      <canvas
        ref={canvas}
        aria-hidden
        style={{ height: field.height }}
        onPointerMove={(event) => setHovered(at(event))}
        onPointerLeave={() => setHovered(null)}
        onClick={(event) => {
          const cell = cellAt(field, event.nativeEvent.offsetX, event.nativeEvent.offsetY);
          const node = cell === null ? null : pathOf(cell);
          if (node !== null) setQuery({ node, attempt: null });
        }}
      />
      <p className="cells-foot muted clip">
        {name === null ? (
          <CellsText count={letters.length} complete={names.data?.complete !== false} />
        ) : (
          <>
            <span className="mono">{name}</span> {state === undefined ? "" : `· ${state}`}
          </>
        )}
      </p>
    </section>
  );
});

/** The later of two answers: what is kept of an earlier tree must not stand for this one. */
function newest(one: NodeStates | undefined, other: NodeStates | undefined) {
  if (one === undefined || other === undefined) return one ?? other;
  return one.seq > other.seq ? one : other;
}

function CellsText({ count, complete }: { count: number; complete: boolean }) {
  const many = count.toLocaleString("en");
  return complete
    ? `${many} Execs in their order; point at one to read its name, click to open it`
    : `The first ${many} Execs; choose a group below to see the others`;
}
