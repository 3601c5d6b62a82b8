import { useQuery } from "@tanstack/react-query";

import { api } from "@/api/client";
import type { CacheSavings, PipelineSummary } from "@/api/schema";
import type { PipelineSession } from "@/run/live/session";

const NONE: ReadonlyMap<string, string> = new Map();

/** The stale commands of an open pipeline. */
export function useStale(session: PipelineSession): ReadonlyMap<string, string> {
  return useStaleOf(session.id, session.model?.summary, () => hasCachedNode(session));
}

/** What the cache saved an open pipeline that is settled; null: nothing. */
export function useSaved(session: PipelineSession): CacheSavings | null {
  const { id, model } = session;
  const { data } = useQuery({
    ...lineageQuery(id, model?.summary, () => hasCachedNode(session)),
    select: ({ saved }) => saved,
  });
  return data ?? null;
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
  const query = lineageQuery(id, summary, hasCache);
  const { data } = useQuery({
    ...query,
    select: ({ nodes }) =>
      new Map(
        nodes.flatMap(({ path, stale: [name] }) => (name === undefined ? [] : [[path, name]])),
      ),
  });
  return query.enabled ? (data ?? NONE) : NONE;
}

function lineageQuery(id: string, summary: PipelineSummary | undefined, hasCache: () => boolean) {
  return {
    queryKey: ["lineage", id, summary?.seq],
    queryFn: ({ signal }: { signal: AbortSignal }) => api.lineage(id, signal),
    enabled: summary?.settled === true && hasCache(),
  };
}

function hasCachedNode({ model }: PipelineSession): boolean {
  return [...(model?.nodes.values() ?? [])].some(({ hasCache }) => hasCache);
}
