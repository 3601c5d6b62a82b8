import { useMemo, useState } from "react";

import type { Output } from "@/logs/live/output";
import {
  groupsOf,
  opensItself,
  type OutputGroup,
  type OutputRows,
  rowsOf,
} from "@/logs/model/outputGroups";

/** Browsers limit elements to about 33 million px, so only the newest lines are shown. */
export const MAX_LINES = 1_000_000;

export interface Folding {
  rows: OutputRows;
  /** Lines before this one are not shown. */
  base: number;
  /** The group that starts at a place, and whether it is open. */
  startingAt: (place: number) => { group: OutputGroup; open: boolean } | null;
  toggle: (group: OutputGroup) => void;
}

/**
 * The rows of an output in which groups are folded. Groups that contain one of the places in
 * `attention` (the first error, a linked line, a match) are open, unless the user closed them.
 */
export function useFolding(output: Output, attention: readonly (number | null)[]): Folding {
  const [chosen, setChosen] = useState<ReadonlyMap<string, boolean>>(new Map());
  const total = output.total ?? 0;
  const markers = output.markers();
  const folding = useMemo(() => groupsOf(markers, total), [markers, total]);
  const { groups } = folding;
  const isOpen = (group: OutputGroup) =>
    chosen.get(group.key) ?? opensItself(group, groups, attention);
  const open = groups.filter(isOpen).map(({ key }) => key);
  const openKeys = open.join(",");
  const base = Math.max(0, total - MAX_LINES);
  const [rows, byStart] = useMemo(() => {
    const keys = new Set(openKeys.split(","));
    return [
      rowsOf(total, base, folding, ({ key }) => keys.has(key)),
      new Map(folding.groups.map((group) => [group.start, { group, open: keys.has(group.key) }])),
    ] as const;
  }, [folding, total, base, openKeys]);
  return {
    rows,
    base,
    startingAt: (place) => byStart.get(place) ?? null,
    toggle: (group) => setChosen(new Map(chosen).set(group.key, !isOpen(group))),
  };
}
