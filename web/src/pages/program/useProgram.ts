import { useQuery } from "@tanstack/react-query";

import { api } from "@/api/client";
import type { PipelineSummary } from "@/api/schema";
import { programKey } from "@/model/runs";

const REFRESH_MS = 5000;
/** Pipelines that are searched for those of the program; the API has no filter by program. */
const MAX_PIPELINES = 1000;

/** The pipelines of a program, newest first. */
export function useProgram(title: string, program: string | null) {
  return useQuery({
    queryKey: ["program", title, program],
    queryFn: async ({ signal }) => {
      const query = { text: title, lifecycle: "all", limit: MAX_PIPELINES } as const;
      const { pipelines } = await api.pipelines(query, signal);
      const key = programKey({ title, program });
      return pipelines.filter((one) => programKey(one.pipeline) === key);
    },
    refetchInterval: REFRESH_MS,
  });
}

/** The flaky and slowest nodes of a program; read again when another pipeline has settled. */
export function useNodeHistory(pipelines: readonly PipelineSummary[]) {
  const newest = pipelines[0]?.pipeline;
  const settled = pipelines.find((one) => one.settled && one.started !== null);
  const { title = "", program = null } = newest ?? {};
  return useQuery({
    queryKey: ["node-history", title, program, settled?.pipeline.id, settled?.seq],
    queryFn: ({ signal }) =>
      api.nodeHistory({ title, ...(program === null ? {} : { program }) }, signal),
    enabled: newest !== undefined,
    placeholderData: (before) => before,
    staleTime: Infinity,
  });
}

export function useComparison(before: string, after: string) {
  return useQuery({
    queryKey: ["comparison", before, after],
    queryFn: ({ signal }) => api.comparePipelines(after, { other: before }, signal),
  });
}
