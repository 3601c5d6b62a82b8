import { useState } from "react";

import type { Bar, Lane } from "@/run/timeline/model/lanes";

/** A position that survives reordering and reloading. */
interface Position {
  lane: string;
  bar: Pick<Bar, "path" | "number"> | null;
}

/** A row and a bar in it; a group has no bar. */
export interface Spot {
  /** Index of the row; -1 for none. */
  at: number;
  lane: Lane | undefined;
  bar: Bar | null;
}

export interface Spots {
  chosen: Spot;
  hovered: Spot;
  /** The time under the pointer. */
  time: number | null;
  /** Whether the pointer is at something that has details. */
  isHovering: boolean;
  choose: (lane: Lane, bar: Bar | null) => void;
  hover: (lane: Lane, bar: Bar | null, time: number) => void;
  leave: () => void;
  clear: () => void;
}

/** The selected row or bar, and the one under the pointer. */
export function useSpots(lanes: readonly Lane[]): Spots {
  const [chosenPosition, setChosen] = useState<Position | null>(null);
  const [position, setHovered] = useState<(Position & { time: number }) | null>(null);
  const chosen = spotOf(lanes, chosenPosition);
  const hovered = spotOf(lanes, position);
  return {
    chosen,
    hovered,
    time: position?.time ?? null,
    isHovering: hovered.bar !== null || hovered.lane?.group !== undefined,
    choose: (lane, bar) => setChosen({ lane: lane.key, bar }),
    hover: (lane, bar, time) => {
      // Details of a group depend on the time, details of a bar do not.
      const isNew = lane !== hovered.lane || bar !== hovered.bar;
      if (isNew || lane.group !== undefined) setHovered({ lane: lane.key, bar, time });
    },
    leave: () => setHovered(null),
    clear: () => {
      setChosen(null);
      setHovered(null);
    },
  };
}

function spotOf(lanes: readonly Lane[], position: Position | null): Spot {
  if (position === null) return { at: -1, lane: undefined, bar: null };
  const at = lanes.findIndex((lane) => lane.key === position.lane);
  const lane = lanes[at];
  const { bar } = position;
  const found = lane?.bars.find((one) => one.number === bar?.number && one.path === bar.path);
  return { at, lane, bar: found ?? null };
}
