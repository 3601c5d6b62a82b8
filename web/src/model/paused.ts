/** Explains why a pipeline is not running. */

import type { PipelineSummary } from "@/api/schema";
import { moment, plural } from "@/lib/time";

/** `Starts 14:00:00`, `Not started`, `Paused`; empty if it is running. */
export function pauseText({ pipeline, settled, counts, started }: PipelineSummary): string {
  if (pipeline.armed) return "";
  if (pipeline.run_at !== null) return `Starts ${moment(pipeline.run_at)}`;
  if (settled) return started === null ? "Not started" : "Paused";
  return `Paused, ${counts.running.toLocaleString("en")} still running`;
}

export function runHint({ pipeline, settled, counts }: PipelineSummary): string {
  if (pipeline.run_at !== null) return "Press Run to start now.";
  if (!settled) return "No new commands start. Press Run to continue.";
  return `${plural(counts.pending, "command")} to run.`;
}
