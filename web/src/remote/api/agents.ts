/** The machines that are linked to the organisation. Cloud only. */

import { get, write } from "@/api/client";
import type { AgentForgotten, LinkedAgent, LinkedAgentList } from "@/api/schema";

function agentPath(id: string): string {
  return `/agents/${encodeURIComponent(id)}`;
}

export const agentsApi = {
  list: (signal?: AbortSignal) => get<LinkedAgentList>("/agents", {}, signal),
  agent: (id: string, signal?: AbortSignal) => get<LinkedAgent>(agentPath(id), {}, signal),
  forget: (id: string) => write<AgentForgotten>("DELETE", agentPath(id)),
};
