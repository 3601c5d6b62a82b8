import { useEffect, useState, useSyncExternalStore } from "react";

import { PipelineSession } from "@/live/session";

/** The session of a pipeline, for as long as the page shows it. */
export function useSession(id: string): PipelineSession | null {
  const [session, setSession] = useState<PipelineSession | null>(null);
  useEffect(() => {
    const opened = new PipelineSession(id);
    setSession(opened);
    return () => opened.close();
  }, [id]);
  return session?.id === id ? session : null;
}

/** Render again with every change of what the session knows. */
export function useSessionVersion(session: PipelineSession): number {
  return useSyncExternalStore(session.subscribe, session.getVersion);
}
