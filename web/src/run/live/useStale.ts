import { useQuery } from "@tanstack/react-query";

import { api } from "@/api/client";
import type { PipelineSession } from "@/run/live/session";

const NONE: ReadonlyMap<string, string> = new Map();

/**
 * The commands whose inputs have changed since they ran, each with the first of these. Asked
 * for only if a loaded command has a cache, and nothing runs.
 */
export function useStale({ id, model }: PipelineSession): ReadonlyMap<string, string> {
  const settled = model?.summary.settled === true;
  const enabled = settled && [...model.nodes.values()].some(({ hasCache }) => hasCache);
  const { data } = useQuery({
    queryKey: ["lineage", id, model?.summary.seq],
    queryFn: ({ signal }) => api.lineage(id, signal),
    enabled,
    select: ({ nodes }) =>
      new Map(
        nodes.flatMap(({ path, stale: [name] }) => (name === undefined ? [] : [[path, name]])),
      ),
  });
  return enabled ? (data ?? NONE) : NONE;
}
