/** Whether debug shells can be opened in the page. */

import { agentsApi } from "@/remote/api/agents";
import { api } from "@/api/client";
import { parseReference } from "@/lib/references";

/** Whether the server of a pipeline opens shells: an agent, or a linked machine for its owner. */
export async function allowsShells(reference: string, signal?: AbortSignal): Promise<boolean> {
  const { agent } = parseReference(reference);
  if (agent === null) return (await api.agent(signal)).shell;
  const [machine, who] = await Promise.all([agentsApi.agent(agent, signal), api.whoAmI(signal)]);
  const mayOpen = who.permissions.includes("debug");
  return mayOpen && machine.allow.includes("debug") && machine.user === who.user;
}
