import { useQuery } from "@tanstack/react-query";

import { api } from "@/api/client";
import type { PipelineSummary } from "@/api/schema";
import { programQuery } from "@/programs/model/programIdentity";

/** Milliseconds after which states are read again while pipelines run. */
const REFRESH_MS = 10_000;

/** The partitions of a program; read again when a pipeline has changed. */
export function usePartitions(pipelines: readonly PipelineSummary[]) {
  const newest = pipelines[0]?.pipeline;
  const has = pipelines.some(
    ({ pipeline }) => pipeline.partition !== null || pipeline.backfill > 0,
  );
  const settled = pipelines.filter((one) => one.settled);
  const seen = settled.reduce((sum, one) => sum + one.seq, settled.length);
  const query = newest === undefined ? {} : programQuery(newest);
  return useQuery({
    queryKey: ["partitions", newest?.id, query, seen],
    queryFn: ({ signal }) => api.partitions(newest?.id ?? "", query, signal),
    enabled: has,
    placeholderData: (before) => before,
    refetchInterval: pipelines.some((one) => !one.settled) ? REFRESH_MS : false,
  });
}
