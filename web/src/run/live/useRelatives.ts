import { useQuery } from "@tanstack/react-query";

import { api } from "@/api/client";
import type { PipelineSummary } from "@/api/schema";

const REFRESH_MS = 5000;
/** Maximum number of children, the newest first. */
export const MAX_CHILDREN = 50;

/**
 * The pipelines that the commands of a pipeline launched, and the runs of its own program, in one
 * request; polled while the pipeline is active, if requested.
 */
export function useRelatives(summary: PipelineSummary | undefined, polled = false) {
  const id = summary?.pipeline.id ?? "";
  const settled = summary?.settled !== false;
  return useQuery({
    queryKey: ["relatives", id, settled ? summary?.seq : null],
    queryFn: ({ signal }) => api.relatives(id, MAX_CHILDREN, signal),
    enabled: summary !== undefined,
    staleTime: settled ? Infinity : REFRESH_MS,
    refetchInterval: polled && !settled ? REFRESH_MS : false,
    placeholderData: (before, query) => (query?.queryKey[1] === id ? before : undefined),
  });
}
