import { useQuery } from "@tanstack/react-query";

import { api } from "@/api/client";
import type { NodeHistory, PipelineSummary, RunHistory } from "@/api/schema";
import { historyFinder } from "@/programs/model/runs";
import { programQuery } from "@/programs/model/programIdentity";
import { useRelatives } from "@/run/live/useRelatives";
import type { UsualTime } from "@/run/model/usual";
import { total } from "@/run/model/states";

/** Pipelines with more commands are not compared: all their attempts would have to be read. */
export const MAX_COMPARED = 2000;
/** Numbers of earlier pipelines, and of commands, the slowest ones, with a usual time. */
const MAX_RUNS = 10;
const MAX_NODES = 1000;

export interface UsualTimes {
  /** `{path: time}` of the commands that passed before. */
  of: ReadonlyMap<string, UsualTime>;
  /** Number of earlier pipelines. */
  runs: number;
  loading: boolean;
}

const NONE: UsualTimes = { of: new Map(), runs: 0, loading: false };
const LOADING: UsualTimes = { ...NONE, loading: true };

/** The earlier runs of a pipeline's program. */
export function useHistory(summary: PipelineSummary | undefined): {
  history: RunHistory | undefined;
  loading: boolean;
} {
  const earlier = useRelatives(summary);
  const find = historyFinder(earlier.data?.histories ?? []);
  const history = summary === undefined ? undefined : find(summary.pipeline);
  return { history, loading: earlier.isLoading };
}

/** The usual times of a pipeline's commands, from earlier pipelines of its program. */
export function useUsual(summary: PipelineSummary | undefined): UsualTimes {
  const hasTimes = summary !== undefined && summary.started !== null;
  const { data, isLoading } = useQuery({
    ...usualQuery(summary?.pipeline),
    enabled: hasTimes && total(summary.counts) <= MAX_COMPARED,
  });
  return data ?? (isLoading ? LOADING : NONE);
}

/** The query of a pipeline's usual times; one request, which is never repeated. */
export function usualQuery(pipeline: PipelineSummary["pipeline"] | undefined) {
  return {
    queryKey: ["usual", pipeline?.id],
    queryFn: ({ signal }: { signal: AbortSignal }) => {
      if (pipeline === undefined) throw new Error("no pipeline");
      const query = { runs: MAX_RUNS, limit: MAX_NODES, before: pipeline.created };
      return api.nodeHistory(pipeline.id, { ...programQuery(pipeline), ...query }, signal);
    },
    select: usualTimes,
    staleTime: Infinity,
  };
}

function usualTimes({ slowest, pipelines }: NodeHistory): UsualTimes {
  const times = slowest.map(
    ({ path, median_seconds: usual, slow_seconds: slow }) => [path, { usual, slow }] as const,
  );
  return { of: new Map(times), runs: pipelines.length, loading: false };
}
