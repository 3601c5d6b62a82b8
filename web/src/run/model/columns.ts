/** The columns of counts in the tree. */

import type { Counts, State } from "@/api/schema";
import { type DisplayState, failures, total } from "@/run/model/states";

export interface Column {
  /** The state of its icon. */
  state: DisplayState;
  label: string;
  countOf: (counts: Counts) => number;
}

const FAILED: Column = { state: "error", label: "failed", countOf: failures };
const RUNNING: Column = { state: "running", label: "running", countOf: ({ running }) => running };
const DONE: Column = { state: "done", label: "done", countOf: ({ done }) => done };
const REST: Column = {
  state: "pending",
  label: "not started",
  countOf: ({ pending, queued }) => pending + queued,
};

/** The columns of a pipeline; nothing runs in a settled one. */
export function columnsOf(settled: boolean): readonly Column[] {
  return settled ? [FAILED, DONE, REST] : [FAILED, RUNNING, DONE, REST];
}

interface Share {
  state: State;
  /** In percent of all commands. */
  from: number;
  share: number;
}

/** Minimum share of failed and running commands in percent: 6 pixels of a bar in the list. */
const MIN_SHARE = 2.7;
/** Space before the running commands in percent, so that they do not look finished. */
const GAP = 1.5;

/** The parts of a bar: finished commands, and running ones apart. Waiting commands are not drawn. */
export function barOf(counts: Counts): Share[] {
  const all = total(counts);
  const percent = (count: number) => (all === 0 ? 0 : (count / all) * 100);
  const states = ["done", "error", "killed", "running"] as const;
  const shares = new Map(
    states.map((state) => {
      const share = percent(counts[state]);
      return [state, state === "done" || share === 0 ? share : Math.max(MIN_SHARE, share)];
    }),
  );
  // The finished commands give the room to the few others.
  const over = Math.max(0, [...shares.values()].reduce((sum, share) => sum + share, 0) - 100);
  shares.set("done", Math.max(0, (shares.get("done") ?? 0) - over));
  let from = 0;
  const parts: Share[] = [];
  for (const state of states) {
    const share = shares.get(state) ?? 0;
    const gap = state === "running" && from > 0 ? Math.min(GAP, share / 2) : 0;
    if (share > 0) parts.push({ state, from: from + gap, share: share - gap });
    from += share;
  }
  return parts;
}

/** A count in at most five characters, so that it fits into the narrowest column. */
export function shortCount(count: number): string {
  return count < 10_000 ? count.toLocaleString("en") : `${Math.floor(count / 1000)}k`;
}
