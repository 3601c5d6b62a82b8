/** The sentence with which an overview opens. */

import type { Counts, State } from "@/api/schema";
import { duration, plural } from "@/lib/time";
import { failures, total } from "@/run/model/states";

export interface Situation {
  state: State;
  /** It is done, although commands whose failures are suppressed failed. */
  warning: boolean;
  counts: Counts;
  /** The pipeline starts commands. */
  armed: boolean;
  /** Nothing runs or will start by itself. */
  settled: boolean;
  /** Estimated seconds left; null if unknown. */
  remaining: number | null;
  /** Approvals that are waited for while nothing runs. */
  approvals: number;
  /** Number of different reasons of failures; null if unknown. */
  reasons: number | null;
}

/** `61 of 2,002 commands failed, for 4 reasons`, `About 5 minutes left`. */
export function headline(given: Situation): string {
  const { counts, state, settled } = given;
  const all = total(counts);
  if (all === 0) return "No commands";
  if (!settled && counts.running + counts.queued > 0) return activeText(given);
  if (state === "done") return doneText(given, all);
  if (state === "killed") return `Killed: ${of(failures(counts), all)} ended early`;
  if (!settled && given.armed) return "Waiting for a retry";
  if (failures(counts) > 0) return failedText(given, all);
  const rest = counts.pending + counts.queued;
  const word = counts.done > 0 ? "Paused" : "Not started";
  return `${word}. ${plural(rest, "command")} to run.`;
}

function doneText({ warning, counts }: Situation, all: number): string {
  if (warning) return `Done; ${plural(failures(counts), "optional command")} failed`;
  const skipped = failures(counts);
  if (skipped > 0) return `Done; ${plural(skipped, "failed command")} skipped`;
  return all === 1 ? "The command succeeded." : `All ${plural(all, "command")} succeeded.`;
}

function failedText({ counts, reasons }: Situation, all: number): string {
  const failed = `${of(failures(counts), all)} failed`;
  return reasons === null || reasons < 2 ? failed : `${failed}, for ${reasons} reasons`;
}

function activeText({ counts, armed, remaining, approvals }: Situation): string {
  const failed = failures(counts);
  if (failed > 0) return `${failed.toLocaleString("en")} failed so far`;
  if (!armed) return `Paused. ${plural(counts.running, "command")} still running.`;
  if (approvals > 0)
    return approvals === 1
      ? "Waiting for an approval"
      : `Waiting for ${plural(approvals, "approval")}`;
  if (remaining !== null) return `About ${spoken(remaining)} left`;
  return counts.running > 0
    ? `${plural(counts.running, "command")} running`
    : `${plural(counts.queued, "command")} queued`;
}

function of(part: number, all: number): string {
  return all === part && all === 1
    ? "The command"
    : `${part.toLocaleString("en")} of ${plural(all, "command")}`;
}

/** `5 minutes`, `40 seconds`. */
function spoken(seconds: number): string {
  if (seconds < 90) return plural(Math.max(1, Math.round(seconds)), "second");
  return seconds < 3600 ? plural(Math.round(seconds / 60), "minute") : duration(seconds);
}
