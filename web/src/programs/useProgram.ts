import { useQuery } from "@tanstack/react-query";

import { api } from "@/api/client";
import type { PipelineSummary } from "@/api/schema";
import {
  programKey,
  programQuery,
  programText,
  type ProgramRef,
} from "@/programs/model/programIdentity";

export const REFRESH_MS = 5000;
/** Pipelines that are searched for those of the program; the API has no filter by program. */
const MAX_PIPELINES = 1000;

/** The pipelines of a program, newest first. */
export function useProgram(program: ProgramRef) {
  const key = programKey(program);
  return useQuery({
    queryKey: ["program", key],
    queryFn: async ({ signal }) => {
      const text = programText(program);
      const query = { text, lifecycle: "all", limit: MAX_PIPELINES } as const;
      const { pipelines } = await api.pipelines(query, signal);
      return pipelines.filter((one) => programKey(one.pipeline) === key);
    },
    refetchInterval: REFRESH_MS,
  });
}

/** The flaky and slowest nodes of a program; read again when another pipeline has settled. */
export function useNodeHistory(pipelines: readonly PipelineSummary[]) {
  const newest = pipelines[0]?.pipeline;
  const settled = pipelines.find((one) => one.settled && one.started !== null);
  const query = newest === undefined ? {} : programQuery(newest);
  return useQuery({
    queryKey: ["node-history", newest?.id, query, settled?.pipeline.id, settled?.seq],
    queryFn: ({ signal }) => api.nodeHistory(newest?.id ?? "", query, signal),
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
