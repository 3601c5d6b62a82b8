import { useEffect, useState, useSyncExternalStore } from "react";

import { PipelineSession } from "@/live/session";
import { fromQuery } from "@/model/openGroups";

/** The session of a pipeline, with open groups from the URL. */
export function useSession(id: string): PipelineSession | null {
  const [session, setSession] = useState<PipelineSession | null>(null);
  useEffect(() => {
    const opened = new PipelineSession(id, fromQuery(new URLSearchParams(location.search)));
    setSession(opened);
    return () => opened.close();
  }, [id]);
  return session?.id === id ? session : null;
}

/** Render again whenever the session changes. */
export function useSessionVersion(session: PipelineSession): number {
  return useSyncExternalStore(session.subscribe, session.getVersion);
}
