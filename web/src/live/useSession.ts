import { useEffect, useState, useSyncExternalStore } from "react";

import { PipelineSession } from "@/live/session";
import { fromAddress } from "@/model/openGroups";

/** The session of a pipeline, for as long as the page shows it; its groups as the address says. */
export function useSession(id: string): PipelineSession | null {
  const [session, setSession] = useState<PipelineSession | null>(null);
  useEffect(() => {
    const opened = new PipelineSession(id, fromAddress(new URLSearchParams(location.search)));
    setSession(opened);
    return () => opened.close();
  }, [id]);
  return session?.id === id ? session : null;
}

/** Render again with every change of what the session knows. */
export function useSessionVersion(session: PipelineSession): number {
  return useSyncExternalStore(session.subscribe, session.getVersion);
}
