/** The history of a program: its durations, flaky nodes, and the differences of two pipelines. */

import type { NodeView, PipelineSummary } from "@/api/schema";
import { activeTime } from "@/model/activity";
import { isFailed } from "@/model/states";

/** A node is slower if it took this much longer, as a factor and in seconds. */
const SLOWER_BY = 1.25;
const SLOWER_SECONDS = 1;

export interface Totals {
  finished: number;
  passed: number;
  /** Seconds of the pipelines that passed; null without any. */
  median: number | null;
  p95: number | null;
}

export function totalsOf(pipelines: readonly PipelineSummary[]): Totals {
  const finished = pipelines.filter(
    ({ settled, state }) => settled && (state === "done" || isFailed(state)),
  );
  const passed = finished.filter(({ state }) => state === "done");
  const times = passed
    .flatMap((one) => activeTime(one, one.ended ?? 0) ?? [])
    .toSorted((a, b) => a - b);
  return {
    finished: finished.length,
    passed: passed.length,
    median: quantile(times, 0.5),
    p95: quantile(times, 0.95),
  };
}

/** The value at a share of a sorted list. */
function quantile(sorted: readonly number[], share: number): number | null {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? null;
}

export interface FlakyNode {
  path: string;
  /** For each pipeline, oldest first, whether it failed there. */
  failed: readonly boolean[];
  count: number;
}

/** Nodes that failed in some of the pipelines, but not in all; the most frequent first. */
export function flakyNodes(failedPaths: readonly ReadonlySet<string>[]): FlakyNode[] {
  const paths = new Set(failedPaths.flatMap((one) => [...one]));
  return [...paths]
    .map((path) => {
      const failed = failedPaths.map((one) => one.has(path));
      return { path, failed, count: failed.filter(Boolean).length };
    })
    .filter(({ count }) => count < failedPaths.length)
    .toSorted((a, b) => b.count - a.count || (a.path < b.path ? -1 : 1));
}

export interface Comparison {
  newlyFailing: string[];
  fixed: string[];
  /** Paths with the additional seconds, the slowest first. */
  slower: { path: string; seconds: number }[];
  changedCommands: string[];
  added: string[];
  removed: string[];
}

/** Compare the commands of two pipelines, the earlier one first. */
export function compare(before: readonly NodeView[], after: readonly NodeView[]): Comparison {
  const old = new Map(execs(before).map((node) => [node.path, node]));
  const current = execs(after);
  const both = current.flatMap((node) => {
    const earlier = old.get(node.path);
    return earlier === undefined ? [] : [{ path: node.path, earlier, node }];
  });
  const known = new Set(current.map((node) => node.path));
  return {
    newlyFailing: current
      .filter(({ path, state }) => isFailed(state) && !isFailed(old.get(path)?.state ?? "pending"))
      .map(({ path }) => path),
    fixed: both
      .filter(({ earlier, node }) => isFailed(earlier.state) && node.state === "done")
      .map(({ path }) => path),
    slower: both
      .flatMap(({ path, earlier, node }) => {
        const seconds = extraSeconds(earlier, node);
        return seconds === null ? [] : [{ path, seconds }];
      })
      .toSorted((a, b) => b.seconds - a.seconds),
    changedCommands: both
      .filter(({ earlier, node }) => earlier.command !== node.command)
      .map(({ path }) => path),
    added: current.filter(({ path }) => !old.has(path)).map(({ path }) => path),
    removed: [...old.keys()].filter((path) => !known.has(path)),
  };
}

function execs(nodes: readonly NodeView[]): NodeView[] {
  return nodes.filter((node) => node.type === "Exec");
}

/** The seconds that a command took longer; null if it did not, or not by much. */
function extraSeconds(earlier: NodeView, node: NodeView): number | null {
  const [before, after] = [tookOf(earlier), tookOf(node)];
  if (before === null || after === null) return null;
  const more = after - before;
  return more >= SLOWER_SECONDS && after >= before * SLOWER_BY ? more : null;
}

/** Seconds of the newest attempt, if it ended by itself. */
function tookOf({ state, attempts }: NodeView): number | null {
  const newest = attempts.at(-1);
  if (state !== "done" || newest === undefined) return null;
  const { started, ended } = newest;
  return started === null || ended === null ? null : ended - started;
}
