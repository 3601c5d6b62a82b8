/** The data of the timeline's chart. */

import { criticalPath, type CriticalPath } from "@/run/timeline/model/criticalPath";
import type { Bar, Lane, Range } from "@/run/timeline/model/lanes";
import { type Opened, rowsByNode } from "@/run/timeline/model/nestedLanes";
import {
  movedBars,
  placed,
  type PlacedRound,
  type Round,
  roundsOf,
} from "@/run/timeline/model/rounds";
import { extentOf, lanesByWorker, type Timeline } from "@/run/timeline/model/timeline";
import type { Round as RoundTime } from "@/api/schema";

export interface ChartData {
  lanes: readonly Lane[];
  /** Whether groups are closed at first; null if there is no choice. */
  grouped: boolean | null;
  extent: Range;
  /** The attempts of the critical paths. */
  critical: ReadonlySet<Bar>;
  /** The rounds that are shown, one after another. */
  rounds: readonly PlacedRound[];
  attempts: number;
  now: number;
}

export interface ChartOptions {
  times: readonly RoundTime[];
  /** Index of the only round to show; null for all. */
  only: number | null;
  byWorker: boolean;
  root: string;
  rows: string | null;
  /** Groups that the user opened or closed. */
  opened: Opened;
  now: number;
}

export interface Chart {
  data: ChartData;
  /** All rounds. */
  rounds: readonly Round[];
  /** The round whose critical path is described. */
  described: Round;
  path: CriticalPath;
}

/** Lay out the attempts of a pipeline; null without any. */
export function chartOf(timeline: Timeline, options: ChartOptions): Chart | null {
  const { times, only, byWorker, root, rows, opened, now } = options;
  const rounds = roundsOf(timeline.bars(), times, now);
  const chosen = only === null ? undefined : rounds[only];
  const described = chosen ?? longestOf(rounds);
  if (described === undefined) return null;
  const shown = placed(chosen === undefined ? rounds : [chosen]);
  const bars = movedBars(shown);
  const shownNow = now - (shown.at(-1)?.shift ?? 0);
  const extent = extentOf(bars, shownNow);
  if (extent === null) return null;
  const lanes = byWorker
    ? { lanes: lanesByWorker(bars, shownNow), grouped: null }
    : rowsByNode(bars, { root, rows, opened, now: shownNow });
  return {
    data: {
      ...lanes,
      extent,
      critical: criticalBars(rounds, bars, timeline, now),
      rounds: shown,
      attempts: bars.length,
      now: shownNow,
    },
    rounds,
    described,
    path: criticalPath(described.bars, timeline.types, now),
  };
}

function longestOf(rounds: readonly Round[]): Round | undefined {
  return rounds.toSorted((one, other) => other.to - other.from - (one.to - one.from))[0];
}

/** The shown bars on the critical path of any round. */
function criticalBars(
  rounds: readonly Round[],
  shown: readonly Bar[],
  timeline: Timeline,
  now: number,
): ReadonlySet<Bar> {
  const keyOf = ({ path, number }: Bar) => `${number} ${path}`;
  const keys = new Set(
    rounds.flatMap(({ bars }) => criticalPath(bars, timeline.types, now).bars.map(keyOf)),
  );
  return new Set(shown.filter((bar) => keys.has(keyOf(bar))));
}
