/** The latest runs of a pipeline as a strip of bars. */

import type { PipelineRun, PipelineSummary, RunHistory } from "@/api/schema";
import { duration, moment } from "@/lib/time";
import { activeTime } from "@/run/model/activity";
import { programKey, type ProgramRef } from "@/programs/model/programIdentity";
import { stateLabel } from "@/run/model/states";

/** Minimum height of a bar as a share of the tallest. */
const MIN_HEIGHT = 0.15;

/** Look up the history of a pipeline; the first match wins. */
export function historyFinder(
  histories: readonly RunHistory[],
): (pipeline: ProgramRef) => RunHistory | undefined {
  const known = new Map(histories.toReversed().map((one) => [programKey(one), one]));
  return (pipeline) => known.get(programKey(pipeline));
}

/** Whether two lists have the same runs, and hence the same histories. */
export function hasSameRuns(
  before: readonly PipelineSummary[],
  after: readonly PipelineSummary[],
): boolean {
  const signature = (list: readonly PipelineSummary[]) =>
    list.map(({ pipeline, state, settled, started, ended }) =>
      [pipeline.id, state, settled, started, ended].join(" "),
    );
  return signature(before).join("\n") === signature(after).join("\n");
}

export interface Bar {
  id: string;
  /** Active runs are shown as running, whatever their state so far. */
  status: "done" | "error" | "killed" | "running" | "pending";
  /** Share of the tallest bar. */
  height: number;
  /** State, duration and start, for a tooltip. */
  text: string;
}

/** The runs as bars, newest last. */
export function barsOf({ runs }: RunHistory, now: number): Bar[] {
  const took = runs.map((run) => durationOf(run, now));
  const longest = Math.max(...took);
  const bars = runs.map((run, place) => ({
    id: run.id,
    status: statusOf(run),
    height: Math.max(MIN_HEIGHT, longest === 0 ? 1 : (took[place] ?? 0) / longest),
    text: titleOf(run, took[place] ?? 0),
  }));
  return bars.toReversed();
}

/** The duration of an interrupted run without an end is unknown. */
function durationOf(run: PipelineRun, now: number): number {
  if (run.settled && run.ended === null) return 0;
  return activeTime(run, run.settled ? (run.ended ?? now) : now) ?? 0;
}

function statusOf({ state, settled }: PipelineRun): Bar["status"] {
  if (!settled) return "running";
  return state === "done" || state === "error" || state === "killed" ? state : "pending";
}

function titleOf(run: PipelineRun, took: number): string {
  const state = stateLabel(run.state);
  const word = run.settled || run.state === "running" ? state : `${state}, still active`;
  if (run.started === null) return word;
  const when = moment(run.started);
  return took === 0 && run.ended === null
    ? `${word}, ${when}`
    : `${word}, ${duration(took)}, ${when}`;
}

export function isAnyActive({ runs }: RunHistory): boolean {
  return runs.some((run) => !run.settled);
}

/** `12 of 14 passed, median 3m 02s`. */
export function historyText({ passed, ended, median_seconds }: RunHistory): string {
  if (ended === 0) return "none finished yet";
  const rate = `${passed} of ${ended} passed`;
  return median_seconds === null ? rate : `${rate}, median ${duration(median_seconds)}`;
}

/** `12 of the last 14 passed, median 3m 02s`, `the last one passed`; empty before the first end. */
export function historySummary({ passed, ended, median_seconds }: RunHistory): string {
  if (ended === 0) return "";
  const last = passed === 1 ? "the last one passed" : "the last one did not pass";
  const rate = ended === 1 ? last : `${passed} of the last ${ended} passed`;
  return median_seconds === null ? rate : `${rate}, median ${duration(median_seconds)}`;
}
