/** How a pipeline stands, in the title of a browser's tab. */

import type { PipelineSummary, State } from "@/api/schema";

const SIGNS: Record<State, string> = {
  pending: "○",
  queued: "○",
  running: "▶",
  done: "✓",
  error: "✕",
  killed: "■",
};

/** `✕ Shop release exw-uzf`. */
export function tabTitle({ pipeline, state }: PipelineSummary): string {
  return `${SIGNS[state]} ${pipeline.title} ${pipeline.id}`;
}
