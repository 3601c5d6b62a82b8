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

/** `starts 14:00:00`, `5 still running`, `7 commands to run`; null if the pipeline is not paused. */
export function pauseNote({ pipeline, settled, counts }: PipelineSummary): string | null {
  if (pipeline.armed) return null;
  if (pipeline.run_at !== null) return `starts ${moment(pipeline.run_at)}`;
  if (!settled) return `${counts.running.toLocaleString("en")} still running`;
  return counts.pending === 0 ? null : `${plural(counts.pending, "command")} to run`;
}
