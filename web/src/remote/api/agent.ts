/** Calls to the agent itself. Only the local agent serves them. */

import { post } from "@/api/client";
import type { AgentStopping, GcReport } from "@/api/schema";

export const agentApi = {
  /**
   * Delete containers, images and files that no active pipeline needs; with `dryRun`, only list
   * them.
   */
  collectGarbage: (dryRun: boolean) => post<GcReport>("/agent/gc", { dry_run: dryRun }),
  /** Stop the agent process, killing running commands. */
  stop: () => post<AgentStopping>("/agent/stop"),
};
