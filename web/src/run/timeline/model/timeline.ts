/** The attempts of a pipeline over time. */

import type { AttemptRecord, ImageRecord, NodeChange, NodeType, NodeView } from "@/api/schema";
import {
  type Bar,
  beginOf,
  endOf,
  type Lane,
  phaseOf,
  type Range,
} from "@/run/timeline/model/lanes";
import { isFinished } from "@/run/model/states";

export function barOf(attempt: AttemptRecord): Bar {
  const { path, number, state, queued, admitted, started, ended, container } = attempt;
  const { image_ready: imageReady, exit_code: exitCode, decision } = attempt;
  const times = { queued, imageReady, admitted, started, ended };
  const waitsFor = decision === null ? null : "approval";
  return { path, number, state, ...times, waitsFor, container, exitCode };
}

function queuedBar(path: string, number: number): Bar {
  const times = { queued: null, imageReady: null, admitted: null, started: null, ended: null };
  return {
    path,
    number,
    state: "queued",
    ...times,
    waitsFor: null,
    container: null,
    exitCode: null,
  };
}

/** All attempts of a pipeline in definition order, grouped by node. */
export class Timeline {
  private readonly nodes = new Map<string, Bar[]>();
  private count = 0;
  /** Whether a command has a cache. */
  hasCache = false;
  /** The types of the known groups: the parts of a Serial wait for each other. */
  readonly types = new Map<string, NodeType>();

  get size(): number {
    return this.count;
  }

  *bars(): Generator<Bar> {
    for (const bars of this.nodes.values()) yield* bars;
  }

  barsOf(path: string): readonly Bar[] {
    return this.nodes.get(path) ?? [];
  }

  /**
   * Set the attempts of a node. A queued attempt of `before` is kept, because attempts have no
   * record until they start.
   */
  add(path: string, attempts: readonly AttemptRecord[], before = this.barsOf(path)): void {
    const last = attempts.at(-1)?.number ?? 0;
    this.hasCache ||= attempts.some((each) => each.cache !== null || each.from_cache !== null);
    const queued = before.filter((bar) => bar.state === "queued" && bar.number > last);
    this.set(path, [...attempts.map(barOf), ...queued]);
  }

  /** Add the queued attempt of a node, if it has no bar: its record comes with its start. */
  addQueued({ path, state, wait_since: since, wait_kind: kind, attempts }: NodeView): void {
    const bars = this.barsOf(path);
    if (state !== "queued" || since === null || bars.at(-1)?.state === "queued") return;
    const bar = queuedBar(path, (attempts.at(-1)?.number ?? 0) + 1);
    this.set(path, [...bars, { ...bar, queued: since, waitsFor: kind && phaseOf(kind) }]);
  }

  private set(path: string, bars: Bar[]): void {
    this.count += bars.length - this.barsOf(path).length;
    this.nodes.set(path, bars);
  }

  get hasQueued(): boolean {
    for (const bar of this.bars()) if (bar.state === "queued") return true;
    return false;
  }

  /** Apply the wait reasons of queued nodes at a time. */
  updateWaits(views: readonly NodeView[], images: readonly ImageRecord[], time: number): void {
    const ready = new Map(images.map((image) => [image.name, image.ended]));
    for (const { path, image, wait_kind: kind } of views) {
      const bar = this.barsOf(path).at(-1);
      if (bar?.state !== "queued" || bar.queued === null || kind === null) continue;
      const before = bar.waitsFor;
      bar.waitsFor = phaseOf(kind);
      if (bar.waitsFor === "image") continue;
      const ended = ready.get(image ?? "") ?? null;
      if (ended !== null && ended > bar.queued) bar.imageReady = ended;
      if (bar.waitsFor === "start" && before === "turn") bar.admitted = time;
    }
  }

  /** Apply a state change. Returns the bar that it created or changed. */
  apply(change: NodeChange): Bar | null {
    if (change.type !== "Exec") {
      this.types.set(change.path, change.type);
      return null;
    }
    if (change.state === "pending") this.removeQueued(change.path);
    if (change.attempt === 0 || change.state === "pending") return null;
    const bar = this.findOrAdd(change);
    if (bar === null) return null;
    bar.state = change.state;
    // A skip also sends a change; times that are known stay.
    if (change.state === "queued") bar.queued ??= change.time;
    if (change.state === "running") bar.started ??= change.time;
    if (isFinished(change.state)) {
      bar.ended ??= change.time;
      bar.exitCode = change.exit_code;
    }
    return bar;
  }

  /** A queued attempt that was reset never ran. */
  private removeQueued(path: string): void {
    const bars = this.nodes.get(path);
    if (bars?.at(-1)?.state === "queued") this.set(path, bars.slice(0, -1));
  }

  private findOrAdd({ path, attempt }: NodeChange): Bar | null {
    let bars = this.nodes.get(path);
    if (bars === undefined) {
      bars = [];
      this.nodes.set(path, bars);
    }
    const known = bars.find((other) => other.number === attempt);
    if (known !== undefined) return known;
    const last = bars.at(-1);
    if (last !== undefined && last.number > attempt) return null;
    // The number of a queued attempt without a record was a guess: attempts before it never ran.
    if (last?.state === "queued") {
      bars[bars.length - 1] = { ...last, number: attempt };
      return bars.at(-1) ?? null;
    }
    const bar = queuedBar(path, attempt);
    bars.push(bar);
    this.count += 1;
    return bar;
  }
}

/** From the first to the last time, or `now` for active bars; null without times. */
export function extentOf(bars: Iterable<Bar>, now: number): Range | null {
  let from = Infinity;
  let to = -Infinity;
  for (const bar of bars) {
    const begin = beginOf(bar);
    if (begin === null) continue;
    from = Math.min(from, begin);
    to = Math.max(to, endOf(bar, now));
  }
  return from === Infinity ? null : { from, to: Math.max(to, from) };
}

/** A row for each node. */
export function lanesByNode(bars: Iterable<Bar>): Lane[] {
  const lanes = new Map<string, Lane>();
  for (const bar of bars) {
    if (beginOf(bar) === null) continue;
    const lane = lanes.get(bar.path);
    if (lane === undefined) lanes.set(bar.path, { key: bar.path, label: bar.path, bars: [bar] });
    else lane.bars.push(bar);
  }
  return [...lanes.values()];
}

/** A row for each container in order of first use; processes share rows. */
export function lanesByWorker(bars: Iterable<Bar>, now: number): Lane[] {
  const ran = [...bars].filter((bar) => bar.started !== null);
  ran.sort((a, b) => (a.started ?? 0) - (b.started ?? 0));
  const lanes: Lane[] = [];
  const containers = new Map<string, Lane>();
  const processes: { lane: Lane; free: number }[] = [];
  for (const bar of ran) {
    if (bar.container === null) {
      laneOfProcess(processes, lanes, bar, now).bars.push(bar);
      continue;
    }
    let lane = containers.get(bar.container);
    if (lane === undefined) {
      lane = { key: bar.container, label: bar.container, bars: [] };
      containers.set(bar.container, lane);
      lanes.push(lane);
    }
    lane.bars.push(bar);
  }
  return lanes;
}

/** The first row that is free at the start of a process. */
function laneOfProcess(
  processes: { lane: Lane; free: number }[],
  lanes: Lane[],
  bar: Bar,
  now: number,
): Lane {
  const started = bar.started ?? now;
  const end = endOf(bar, now);
  for (const one of processes) {
    if (one.free > started) continue;
    one.free = end;
    return one.lane;
  }
  const number = processes.length + 1;
  const lane: Lane = { key: `process ${number}`, label: `process ${number}`, bars: [] };
  processes.push({ lane, free: end });
  lanes.push(lane);
  return lane;
}

/** The bar at a time, or the nearest one within `slack` seconds. */
export function barAt(lane: Lane, time: number, slack: number, now: number): Bar | null {
  let best: Bar | null = null;
  let distance = slack;
  for (const bar of lane.bars) {
    const begin = beginOf(bar);
    if (begin === null) continue;
    const off = Math.max(begin - time, time - endOf(bar, now), 0);
    if (off > distance || (best !== null && off === distance)) continue;
    best = bar;
    distance = off;
  }
  return best;
}
