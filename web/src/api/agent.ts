/** Orders to the agent itself; only the one on this machine takes them. */

import { post } from "@/api/client";
import type { GcReport, AgentStopping } from "@/api/schema";

export const agentApi = {
  /** Free what no live pipeline needs, or only say what that would be. */
  collect: (dryRun: boolean) => post<GcReport>("/agent/gc", { dry_run: dryRun }),
  /** Stop the process; what runs is ended. */
  stop: () => post<AgentStopping>("/agent/stop"),
};
