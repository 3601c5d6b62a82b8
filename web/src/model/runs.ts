/** How the newest runs of a pipeline went, for a strip of bars. */

import type { PipelineRecord, PipelineRun, PipelineSummary, RunHistory } from "@/api/schema";
import { duration, moment } from "@/lib/time";
import { activeTime } from "@/model/activity";

/** The shortest bar, as a share of the longest: it is to be seen, and told from none. */
const LEAST = 0.15;

type Sort = Pick<PipelineRecord, "title" | "program">;

function keyOf({ title, program }: Sort): string {
  return JSON.stringify([title, program]);
}

/** Finds the history of a pipeline among those of some answers; the first one's counts. */
export function historyFinder(
  histories: readonly RunHistory[],
): (pipeline: Sort) => RunHistory | undefined {
  const known = new Map(histories.toReversed().map((one) => [keyOf(one), one]));
  return (pipeline) => known.get(keyOf(pipeline));
}

/** Whether two lists tell the same of every run that a history holds: then it is the same, too. */
export function sameRuns(
  before: readonly PipelineSummary[],
  after: readonly PipelineSummary[],
): boolean {
  const told = (list: readonly PipelineSummary[]) =>
    list.map(({ pipeline, state, settled, started, ended }) =>
      [pipeline.id, state, settled, started, ended].join(" "),
    );
  return told(before).join("\n") === told(after).join("\n");
}

/** One run in a strip. */
export interface Bar {
  id: string;
  /** What it looks like; what has not come to an end yet is not told by how it stands so far. */
  look: "done" | "error" | "killed" | "running" | "waiting";
  /** Its height, as a share of the highest one. */
  height: number;
  /** How it ended or stands, how long it took, and when. */
  text: string;
}

/** The runs as bars, the newest last. */
export function barsOf({ runs }: RunHistory, now: number): Bar[] {
  const took = runs.map((run) => tookOf(run, now));
  const longest = Math.max(...took);
  const bars = runs.map((run, place) => ({
    id: run.id,
    look: lookOf(run),
    height: Math.max(LEAST, longest === 0 ? 1 : (took[place] ?? 0) / longest),
    text: textOf(run, took[place] ?? 0),
  }));
  return bars.toReversed();
}

/** What stands still without an end has taken nobody knows how long: nothing is made up. */
function tookOf(run: PipelineRun, now: number): number {
  if (run.settled && run.ended === null) return 0;
  return activeTime(run, run.settled ? (run.ended ?? now) : now) ?? 0;
}

function lookOf({ state, settled }: PipelineRun): Bar["look"] {
  if (!settled) return "running";
  return state === "done" || state === "error" || state === "killed" ? state : "waiting";
}

function textOf(run: PipelineRun, took: number): string {
  const word = run.settled || run.state === "running" ? run.state : `${run.state}, goes on`;
  if (run.started === null) return word;
  const when = moment(run.started);
  return took === 0 && run.ended === null
    ? `${word}, ${when}`
    : `${word}, ${duration(took)}, ${when}`;
}

/** Whether a bar of them grows. */
export function anyGrows({ runs }: RunHistory): boolean {
  return runs.some((run) => !run.settled);
}

/** How many of the runs passed, and how long they take: `12 of 14 passed, median 3m 02s`. */
export function historyText({ passed, ended, median_seconds }: RunHistory): string {
  if (ended === 0) return "none has ended yet";
  const rate = `${passed} of ${ended} passed`;
  return median_seconds === null ? rate : `${rate}, median ${duration(median_seconds)}`;
}

/** The same where there is little room: `86% · 3m 02s`. */
export function historyShort({ passed, ended, median_seconds }: RunHistory): string {
  if (ended === 0) return "";
  const rate = `${Math.floor((passed / ended) * 100)}%`; // 100 % is all of them
  return median_seconds === null ? rate : `${rate} · ${duration(median_seconds)}`;
}
