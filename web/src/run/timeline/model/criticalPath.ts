/**
 * The critical path of a round: the chain of attempts that determined when it ended.
 *
 * An attempt follows the previous attempt of its command, or the last attempt of the part before it
 * in the nearest Serial. The time between the end of one attempt and the start of the next is
 * waiting time: for an image, a slot or a container.
 */

import type { NodeType } from "@/api/schema";
import { duration } from "@/lib/time";
import { type Bar, beginOf, endOf, isDecided, type PhaseName } from "@/run/timeline/model/lanes";
import { ancestorsOf } from "@/run/model/paths";
import { phasesOf } from "@/run/timeline/model/phases";
import { shortPath } from "@/run/model/shortPath";
import type { UsualTime } from "@/run/model/usual";

export interface Segment {
  kind: "run" | PhaseName;
  bar: Bar;
  seconds: number;
}

export interface CriticalPath {
  /** The attempts, oldest first. */
  bars: Bar[];
  segments: Segment[];
  /** Seconds from its begin to its end, those of running commands, and those of waits. */
  seconds: number;
  running: number;
  waiting: number;
}

/** Attempts may be recorded in an order that differs by this many seconds. */
const TOLERANCE = 0.05;
/** Shorter segments are left out, in seconds. */
const MIN_SEGMENT = 0.001;

export function criticalPath(
  bars: readonly Bar[],
  types: ReadonlyMap<string, NodeType>,
  now: number,
): CriticalPath {
  const before = predecessors(bars, types, now);
  const chain = new Set<Bar>();
  let current = lastOf(bars, now);
  while (current !== null && !chain.has(current)) {
    chain.add(current);
    current = before(current);
  }
  const path = [...chain].reverse();
  const segments = path.flatMap((bar, at) => segmentsOf(bar, path[at - 1], now));
  const sum = (all: readonly Segment[]) => all.reduce((total, { seconds }) => total + seconds, 0);
  const running = sum(segments.filter(({ kind }) => kind === "run"));
  const seconds = sum(segments);
  return { bars: path, segments, seconds, running, waiting: seconds - running };
}

/** Returns a function that finds the attempt that another one followed. */
function predecessors(
  bars: readonly Bar[],
  types: ReadonlyMap<string, NodeType>,
  now: number,
): (bar: Bar) => Bar | null {
  const attempts = new Map<string, Bar>();
  const serials = new Map<string, Map<string, Bar>>();
  for (const bar of bars) {
    attempts.set(`${bar.path} ${bar.number}`, bar);
    if (bar.started === null && !isDecided(bar)) continue;
    for (const { serial, part } of placesOf(bar.path, types)) {
      const parts = serials.get(serial) ?? new Map<string, Bar>();
      serials.set(serial, parts);
      const last = parts.get(part);
      // Of parts, the order of the first attempts is that of the definition.
      if (last === undefined || endOf(bar, now) > endOf(last, now)) parts.set(part, bar);
    }
  }
  const orders = new Map([...serials].map(([path, parts]) => [path, [...parts.keys()]]));
  const places = new Map(
    [...orders].map(([path, parts]) => [path, new Map(parts.map((part, at) => [part, at]))]),
  );
  return (bar) => {
    const begin = (beginOf(bar) ?? 0) + TOLERANCE;
    const earlier = attempts.get(`${bar.path} ${bar.number - 1}`);
    if (earlier !== undefined && endOf(earlier, now) <= begin) return earlier;
    for (const { serial, part } of placesOf(bar.path, types)) {
      const at = places.get(serial)?.get(part) ?? 0;
      const name = orders.get(serial)?.[at - 1];
      const last = name === undefined ? undefined : serials.get(serial)?.get(name);
      if (last !== undefined && endOf(last, now) <= begin) return last;
    }
    return null;
  };
}

/** The Serials above a node, nearest first, and the child of each that contains the node. */
function placesOf(
  path: string,
  types: ReadonlyMap<string, NodeType>,
): { serial: string; part: string }[] {
  const above = [...ancestorsOf(path), path];
  return above
    .slice(0, -1)
    .flatMap((serial, at) =>
      types.get(serial) === "Serial" ? [{ serial, part: above[at + 1] ?? path }] : [],
    )
    .reverse();
}

/** The attempt that ends last; of two active ones, the attempt that started first. */
function lastOf(bars: readonly Bar[], now: number): Bar | null {
  let found: Bar | null = null;
  for (const bar of bars) {
    if (bar.started === null) continue;
    const difference = found === null ? 1 : endOf(bar, now) - endOf(found, now);
    const isEarlier = difference === 0 && bar.started < (found?.started ?? 0);
    if (difference > 0 || isEarlier) found = bar;
  }
  return found;
}

function segmentsOf(bar: Bar, before: Bar | undefined, now: number): Segment[] {
  const begin = beginOf(bar) ?? 0;
  const gap = before === undefined ? 0 : begin - endOf(before, now);
  const started = bar.started ?? begin;
  const parts: Segment[] = [
    { kind: "unknown", bar, seconds: gap },
    ...phasesOf(bar, now).map(({ name, from, to }) => ({ kind: name, bar, seconds: to - from })),
    { kind: "run", bar, seconds: bar.started === null ? 0 : endOf(bar, now) - started },
  ];
  return parts.filter(({ seconds }) => seconds >= MIN_SEGMENT);
}

const WAITS: Record<PhaseName, string> = {
  image: "the wait for images",
  turn: "the wait for a slot",
  start: "the start of containers",
  approval: "the wait for approval",
  unknown: "the wait between commands",
};
/** A bottleneck or a wait with a smaller share is not worth a sentence. */
const MIN_WAIT = 0.1;
/** From this multiple of its median on, a command is called slow. */
const SLOW = 1.5;
const MAX_PATH = 60;

export interface Bottleneck {
  /** The command; null for a wait. */
  path: string | null;
  /** `39% of the path, 5.2 times its median`. */
  share: string;
  /** The name of a wait, or the shortened path. */
  name: string;
  /** `Without the wait for a slot, Run 1 would have ended 1m 09s earlier.` */
  hint: string;
}

/** Name the command or wait that took longest on a path; null if it is empty. */
export function bottleneck(
  { segments, seconds }: CriticalPath,
  label: string,
  usual: ReadonlyMap<string, UsualTime>,
): Bottleneck | null {
  if (seconds <= 0) return null;
  const [command, ran] = largest(segments.filter(isRun), ({ bar }) => bar.path);
  const waits = segments.filter((one) => !isRun(one));
  const [wait, waited] = largest(waits, ({ kind }) => kind);
  const waitName = WAITS[(wait ?? "unknown") as PhaseName];
  const isWait = wait !== null && waited > ran;
  const share = `${Math.round((Math.max(ran, waited) / seconds) * 100)}% of the path`;
  const saved = `Without ${waitName}, ${label} would have ended ${duration(waited)} earlier.`;
  const hint = wait !== null && waited / seconds >= MIN_WAIT ? saved : "";
  if (isWait || command === null) return { path: null, name: waitName, share, hint };
  const times = ran / (usual.get(command)?.usual ?? Infinity);
  const slow =
    times >= SLOW && Number.isFinite(times) ? `, ${times.toFixed(1)} times its median` : "";
  return { path: command, name: shortPath(command, MAX_PATH), share: share + slow, hint };
}

function isRun({ kind }: Segment): boolean {
  return kind === "run";
}

/** The key with the largest sum of seconds. */
function largest(
  segments: readonly Segment[],
  keyOf: (segment: Segment) => string,
): [string | null, number] {
  const sums = new Map<string, number>();
  for (const one of segments) sums.set(keyOf(one), (sums.get(keyOf(one)) ?? 0) + one.seconds);
  return [...sums].reduce<[string | null, number]>(
    (best, [key, sum]) => (sum > best[1] ? [key, sum] : best),
    [null, 0],
  );
}
