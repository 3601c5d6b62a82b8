import { useQuery } from "@tanstack/react-query";

import { api } from "@/api/client";
import type { PipelineSummary } from "@/api/schema";
import type { PipelineSession } from "@/run/live/session";

const NONE: ReadonlyMap<string, string> = new Map();

/** The stale commands of an open pipeline. */
export function useStale({ id, model }: PipelineSession): ReadonlyMap<string, string> {
  return useStaleOf(id, model?.summary, () =>
    [...(model?.nodes.values() ?? [])].some(({ hasCache }) => hasCache),
  );
}

/**
 * The commands whose inputs have changed since they ran, each with the first of these. Asked
 * for only if a loaded command has a cache, and nothing runs.
 */
export function useStaleOf(
  id: string,
  summary: PipelineSummary | undefined,
  hasCache: () => boolean,
): ReadonlyMap<string, string> {
  const enabled = summary?.settled === true && hasCache();
  const { data } = useQuery({
    queryKey: ["lineage", id, summary?.seq],
    queryFn: ({ signal }) => api.lineage(id, signal),
    enabled,
    select: ({ nodes }) =>
      new Map(
        nodes.flatMap(({ path, stale: [name] }) => (name === undefined ? [] : [[path, name]])),
      ),
  });
  return enabled ? (data ?? NONE) : NONE;
}
