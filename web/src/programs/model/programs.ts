/** Pipelines by program, and a sentence about each. */

import type { PipelineSummary, RunHistory } from "@/api/schema";
import { duration, moment, plural } from "@/lib/time";
import { activeTime } from "@/run/model/activity";
import { earlierDurations, estimate } from "@/run/model/estimate";
import { pipelineState } from "@/run/model/pipelineStatus";
import { programKey, programName, scriptName } from "@/programs/model/programIdentity";
import { failures, total } from "@/run/model/states";

export interface Program {
  /** Identifies it in lists. */
  key: string;
  name: string;
  /** File name of its script, unless the name has it. */
  script: string | null;
  /** Its pipelines, newest first. */
  pipelines: readonly PipelineSummary[];
}

/** Programs by their newest pipeline; pipelines are newest first. */
export function groupByProgram(pipelines: readonly PipelineSummary[]): Program[] {
  const groups = new Map<string, PipelineSummary[]>();
  for (const one of pipelines) {
    const key = programKey(one.pipeline);
    const members = groups.get(key);
    if (members === undefined) groups.set(key, [one]);
    else members.push(one);
  }
  return Array.from(groups, ([key, members]) => {
    const newest = members[0]?.pipeline ?? { title: "", program: null, function: null };
    const name = programName(newest);
    const script = newest.program === null ? null : scriptName(newest.program);
    return {
      key,
      name,
      script: script === null || name.includes(script) ? null : script,
      pipelines: members,
    };
  });
}

/** Pipelines that were launched at or after a time; all of them without a time. */
export function launchedSince(
  pipelines: readonly PipelineSummary[],
  time: number | null,
): readonly PipelineSummary[] {
  return time === null ? pipelines : pipelines.filter((one) => one.pipeline.created >= time);
}

/** One sentence about the state, such as `61 of 2,002 failed`. */
export function headline(
  summary: PipelineSummary,
  history: RunHistory | undefined,
  now: number,
): string {
  const { counts, pipeline } = summary;
  const failed = failures(counts);
  const all = total(counts);
  switch (pipelineState(summary)) {
    case "done":
      return all === 1 ? "1 command done" : `All ${count(all)} done`;
    case "warning":
      return `Done; ${plural(failed, "optional command")} failed`;
    case "error":
      return failed === 0 ? "Failed" : `${count(failed)} of ${count(all)} failed`;
    case "killed":
      return `${count(counts.killed)} of ${count(all)} killed`;
    case "pending":
      return `${plural(counts.pending, "command")} to run`;
    case "scheduled":
      return `Starts ${moment(pipeline.run_at ?? now)}`;
    default:
      return [
        `${count(counts.done)} of ${count(all)} done`,
        ...(failed > 0 ? [`${count(failed)} failed`] : []),
        ...remaining(summary, history, now),
      ].join(", ");
  }
}

/** `about 5m 10s left`, if earlier runs tell. */
function remaining(
  summary: PipelineSummary,
  history: RunHistory | undefined,
  now: number,
): string[] {
  const took = activeTime(summary, now);
  if (!summary.pipeline.armed || took === null) return [];
  const left = estimate(took, earlierDurations(summary, history?.runs ?? []))?.remaining;
  return left === undefined || left === null ? [] : [`about ${duration(left)} left`];
}

/** `ML` for `Mara Lindqvist` or `mara.lindqvist`; `AD` for `ada`. */
export function initials(name: string): string {
  const words = name.split(/[\s._@-]+/).filter((word) => word !== "");
  const [first = "", second] = words;
  return (
    second === undefined ? first.slice(0, 2) : `${first[0] ?? ""}${second[0] ?? ""}`
  ).toUpperCase();
}

function count(value: number): string {
  return value.toLocaleString("en");
}
