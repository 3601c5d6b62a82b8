import { PipelineSession } from "@/run/live/session";
import { useLive } from "@/api/stream";
import { fromQuery } from "@/run/timeline/model/openGroups";

/** The session of a pipeline, with open groups from the URL. */
export function useSession(id: string): PipelineSession | null {
  const groups = () => fromQuery(new URLSearchParams(location.search));
  const session = useLive(() => new PipelineSession(id, groups()), id);
  return session?.id === id ? session : null;
}
