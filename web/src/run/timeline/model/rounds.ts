/**
 * The rounds of a pipeline: from one start to the next rest. The server tells when each round began
 * and ended; here, attempts are assigned to them, and the idle time between them is folded.
 */

import type { Round as RoundTime } from "@/api/schema";
import { type Bar, beginOf, endOf, type Range } from "@/run/timeline/model/lanes";

export interface Round extends Range {
  /** `Run 1`, `Rerun 2`. */
  label: string;
  bars: Bar[];
  /** It has ended. */
  ended: boolean;
  /** Seconds in which something ran or waited for a slot, not for an approval. */
  active: number;
  /** Number of failed attempts. */
  failed: number;
}

/** The attempts of a pipeline by round, oldest first, without rounds that have none. */
export function roundsOf(bars: Iterable<Bar>, times: readonly RoundTime[], now: number): Round[] {
  const ends = times.map(({ ended }) => ended ?? Infinity);
  // The oldest ones that are known may continue an older one.
  const starts = times.flatMap(({ continues }, at) => (continues && at > 0 ? [] : [at]));
  const groups = new Map<number, Bar[]>();
  for (const bar of bars) {
    const begin = beginOf(bar);
    if (begin === null) continue;
    const at = ends.findIndex((end) => end >= (bar.started ?? begin));
    const time = at < 0 ? Math.max(0, times.length - 1) : at;
    const round = Math.max(
      0,
      starts.findLastIndex((start) => start <= time),
    );
    const known = groups.get(round);
    if (known === undefined) groups.set(round, [bar]);
    else known.push(bar);
  }
  return [...groups]
    .toSorted(([one], [other]) => one - other)
    .map(([place, group], index) =>
      roundOf(group, index, times.slice(starts[place] ?? 0, starts[place + 1]), now),
    );
}

function roundOf(bars: Bar[], index: number, times: readonly RoundTime[], now: number): Round {
  let [from, to, failed] = [Infinity, -Infinity, 0];
  let repeats = false;
  for (const bar of bars) {
    from = Math.min(from, beginOf(bar) ?? from);
    to = Math.max(to, endOf(bar, now));
    repeats ||= bar.number > 1;
    if (bar.state === "error" || bar.state === "killed") failed += 1;
  }
  const label = `${index > 0 && repeats ? "Rerun" : "Run"} ${index + 1}`;
  to = Math.max(from, to);
  const active = times.reduce((sum, { started, ended }) => {
    return sum + Math.max(0, Math.min(ended ?? now, to) - Math.max(started, from));
  }, 0);
  const ended = times.at(-1)?.ended !== null;
  return { label, bars, from, to, failed, ended, active: times.length > 0 ? active : to - from };
}

/** A round on a time line without the idle time between rounds. */
export interface PlacedRound extends Range {
  round: Round;
  /** Seconds that its times are moved back. */
  shift: number;
  /** Idle seconds before it. */
  idle: number;
}

/** A gap takes this share of all rounds, so that rounds are told apart. */
const GAP_SHARE = 0.05;

/** Place rounds one after another, with equal gaps between them. */
export function placed(rounds: readonly Round[]): PlacedRound[] {
  const active = rounds.reduce((sum, { from, to }) => sum + to - from, 0);
  const gap = Math.max(active * GAP_SHARE, 0.001);
  const found: PlacedRound[] = [];
  for (const round of rounds) {
    const before = found.at(-1);
    const from = before === undefined ? round.from : before.to + gap;
    const idle = before === undefined ? 0 : Math.max(0, round.from - before.round.to);
    found.push({ round, from, to: from + round.to - round.from, shift: round.from - from, idle });
  }
  return found;
}

/** The bars of placed rounds, with their times moved. */
export function movedBars(rounds: readonly PlacedRound[]): Bar[] {
  return rounds.flatMap(({ round, shift }) =>
    shift === 0 ? round.bars : round.bars.map((bar) => moved(bar, shift)),
  );
}

function moved(bar: Bar, shift: number): Bar {
  const back = (time: number | null) => (time === null ? null : time - shift);
  return {
    ...bar,
    queued: back(bar.queued),
    imageReady: back(bar.imageReady),
    admitted: back(bar.admitted),
    started: back(bar.started),
    ended: back(bar.ended),
    shift,
  };
}
