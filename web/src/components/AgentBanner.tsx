import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef } from "react";

import { agentsApi } from "@/remote/api/agents";
import type { LinkedAgent } from "@/api/schema";
import bannerStyles from "@/components/Banner.module.css";
import { CopyButton } from "@/components/CopyButton";
import { useNow } from "@/components/useNow";
import { parseReference } from "@/lib/references";
import { ago } from "@/lib/time";

/** Interval of checks whether the agent is connected, in ms. */
const CHECK_MS = 15_000;

/** A banner on the pages of a pipeline whose linked agent is offline. */
export function AgentBanner({ id }: { id: string }) {
  const client = useQueryClient();
  const now = useNow(true);
  // The event stream continues by itself.
  const agent = useLinkedAgent(id, () => void client.invalidateQueries({ refetchType: "active" }));
  if (agent === undefined || agent.online) return null;
  return (
    <div className={bannerStyles.banner} role="status">
      <span>
        {`${agent.host} is offline; this is its state as of ${ago(agent.seen, now)}.`} Start it
        with: <code>conducto agent start</code>
      </span>
      <CopyButton text="conducto agent start" label="Copy command" />
    </div>
  );
}

/** The linked agent of a pipeline, if it has one; `onOnline` is called when it has connected. */
export function useLinkedAgent(id: string, onOnline: () => void): LinkedAgent | undefined {
  const { agent } = parseReference(id);
  const { data } = useQuery({
    queryKey: ["linked-agent", agent],
    queryFn: ({ signal }) => agentsApi.agent(agent ?? "", signal),
    refetchInterval: CHECK_MS,
    enabled: agent !== null,
  });
  const online = data?.online;
  const before = useRef(online);
  const notify = useRef(onOnline);
  useEffect(() => {
    notify.current = onOnline;
  });
  useEffect(() => {
    if (online === true && before.current === false) notify.current();
    before.current = online;
  }, [online]);
  return data;
}
