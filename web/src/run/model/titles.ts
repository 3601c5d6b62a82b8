/** The title of the browser tab. */

import type { PipelineSummary, State } from "@/api/schema";

const SYMBOLS: Record<State, string> = {
  pending: "○",
  queued: "○",
  running: "▶",
  done: "✓",
  error: "✕",
  killed: "■",
};

/** `✕ Shop release exw-uzf`. */
export function tabTitle({ pipeline, state }: PipelineSummary): string {
  return `${SYMBOLS[state]} ${pipeline.title} ${pipeline.id}`;
}
