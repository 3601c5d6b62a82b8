import { useQueries } from "@tanstack/react-query";

import type { PipelineSummary, RunHistory } from "@/api/schema";
import { useRelatives } from "@/run/live/useRelatives";
import { fetchWholeTree } from "@/run/tree/live/wholeTree";
import { historyFinder } from "@/programs/model/runs";
import { medians, secondsOf } from "@/run/model/slowest";
import { NO_COUNTS, total } from "@/run/model/states";

/** Pipelines with more commands are not compared: all their nodes would have to be fetched. */
export const MAX_COMPARED = 1000;
/** Number of earlier successful runs that are compared. */
const MAX_RUNS = 3;

export interface Medians {
  /** `{path: median seconds}`. */
  seconds: ReadonlyMap<string, number>;
  /** Number of runs. */
  runs: number;
  loading: boolean;
}

const NONE: Medians = { seconds: new Map(), runs: 0, loading: false };
const LOADING: Medians = { ...NONE, loading: true };

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

/** The medians of the commands in earlier successful runs. */
export function useMedians(summary: PipelineSummary | undefined): Medians {
  const { history, loading } = useHistory(summary);
  const runs = (history?.runs ?? []).filter(
    (run) =>
      run.id !== summary?.pipeline.id &&
      run.settled &&
      run.state === "done" &&
      run.execs <= MAX_COMPARED,
  );
  const isSmall = total(summary?.counts ?? NO_COUNTS) <= MAX_COMPARED;
  return useQueries({
    queries: (isSmall ? runs.slice(0, MAX_RUNS) : []).map(({ id }) => ({
      queryKey: ["seconds", id],
      queryFn: async ({ signal }: { signal: AbortSignal }) =>
        secondsOf(await fetchWholeTree(id, "newest", signal)),
      staleTime: Infinity,
    })),
    combine: loading ? () => LOADING : combined,
  });
}

interface Result {
  data: ReadonlyMap<string, number> | undefined;
  isLoading: boolean;
}

function combined(results: readonly Result[]): Medians {
  const known = results.flatMap(({ data }) => (data === undefined ? [] : [data]));
  const loading = results.some((result) => result.isLoading);
  if (known.length === 0) return loading ? LOADING : NONE;
  return { seconds: medians(known), runs: known.length, loading };
}
