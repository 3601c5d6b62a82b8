/** The state of a pipeline as its header names it, and the actions that apply to it. */

import type { PipelineSummary } from "@/api/schema";
import { type DisplayState, failures, finished, isFinished } from "@/run/model/states";

/** The state that users see. A pipeline with commands to run that starts none is paused. */
export function pipelineState(summary: PipelineSummary): DisplayState {
  const { pipeline, state, counts, started, warning } = summary;
  if (pipeline.run_at !== null && !pipeline.armed) return "scheduled";
  if (state === "done") return warning ? "warning" : "done";
  if (state === "error" && counts.error === 0 && counts.killed > 0) return "killed";
  if (pipeline.armed || isFinished(state)) return state;
  return started === null ? "pending" : "paused";
}

export type HeaderAction =
  | "run"
  | "pause"
  | "cancel"
  | "rerunFailed"
  | "rerunKilled"
  | "rerunAll"
  | "launchAgain"
  | "sleep"
  | "wake"
  | "archive";

export interface HeaderActions {
  /** The most useful action; `strong` draws it as the page's one primary action. */
  primary: HeaderAction | null;
  strong: boolean;
  secondary: HeaderAction | null;
  /** All others that apply now. */
  menu: readonly HeaderAction[];
}

const ORDER: readonly HeaderAction[] = [
  "rerunFailed",
  "rerunAll",
  "run",
  "pause",
  "cancel",
  "launchAgain",
  "sleep",
  "wake",
  "archive",
];

/** The actions of a pipeline's header. Actions that do not apply are omitted. */
export function headerActions(summary: PipelineSummary): HeaderActions {
  const [primary, secondary, strong] = choice(summary);
  const shown = [primary, secondary];
  const rest = ORDER.filter((action) => applies(action, summary) && !shown.includes(action));
  const menu = primary === "rerunKilled" ? rest.filter((one) => one !== "rerunFailed") : rest;
  return { primary, secondary, strong, menu };
}

type Choice = [primary: HeaderAction | null, secondary: HeaderAction | null, strong: boolean];

function choice(summary: PipelineSummary): Choice {
  const { pipeline, counts } = summary;
  if (pipeline.lifecycle === "archived") return ["wake", null, false];
  if (isActive(summary)) {
    if (!pipeline.armed) return ["run", "cancel", true];
    return failures(counts) > 0 ? ["rerunFailed", "cancel", true] : ["cancel", "pause", false];
  }
  switch (pipelineState(summary)) {
    case "error":
      return ["rerunFailed", applies("run", summary) ? "run" : null, true];
    case "killed":
      return ["rerunKilled", null, true];
    case "done":
    case "warning":
      return ["launchAgain", null, false];
    case "pending":
      return applies("run", summary) ? ["run", null, true] : [null, null, false];
    case "paused":
    case "scheduled":
      return ["run", null, true];
    default:
      return [null, null, false];
  }
}

function isActive({ settled, pipeline, counts }: PipelineSummary): boolean {
  return counts.running + counts.queued > 0 || (!settled && pipeline.armed);
}

function applies(action: HeaderAction, summary: PipelineSummary): boolean {
  const { pipeline, counts } = summary;
  const { armed, lifecycle } = pipeline;
  if (action === "launchAgain") return true;
  if (lifecycle === "archived") return action === "wake";
  switch (action) {
    case "run":
      return !armed && (counts.pending > 0 || pipeline.run_at !== null);
    case "pause":
      return armed && isActive(summary);
    case "cancel":
      return isActive(summary);
    case "rerunFailed":
    case "rerunKilled":
      return failures(counts) > 0;
    case "rerunAll":
      return finished(counts) > 0;
    case "sleep":
      return lifecycle === "active";
    case "wake":
      return lifecycle !== "active";
    case "archive":
      return true;
  }
}
