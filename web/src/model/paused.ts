/** Why a pipeline that nobody has started, or that was paused, does not go on. */

import type { PipelineSummary } from "@/api/schema";
import { moment } from "@/lib/time";

/** `starts 14:00:00`, `paused, 3 still running`, `not running`; empty where it goes on. */
export function pauseText({ pipeline, settled, counts }: PipelineSummary): string {
  if (pipeline.armed) return "";
  if (pipeline.run_at !== null) return `starts ${moment(pipeline.run_at)}`;
  return settled ? "not running" : `paused, ${counts.running.toLocaleString("en")} still running`;
}

/** What pressing Run does then. */
export function runHint({ pipeline, settled }: PipelineSummary): string {
  if (pipeline.run_at !== null) return "press Run to start it now";
  return settled ? "press Run to start what is pending" : "nothing more starts; press Run to go on";
}
