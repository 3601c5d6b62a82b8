import { keepPreviousData, useInfiniteQuery, type InfiniteData } from "@tanstack/react-query";
import { useMemo } from "react";

import { api, type ListQuery } from "@/api/client";
import type {
  PipelineList as Page,
  PipelineRecord,
  PipelineSummary,
  RunHistory,
} from "@/api/schema";
import { launchedSince } from "@/programs/model/programs";
import { hasSameRuns, historyFinder } from "@/programs/model/runs";

/** The list has no events, so it is polled. */
const REFRESH_MS = 2000;
const PAGE = 200;

export interface PipelineList {
  /** Undefined until the first response. */
  pipelines: readonly PipelineSummary[] | undefined;
  historyOf: (pipeline: PipelineRecord) => RunHistory | undefined;
  error: Error | null;
  /** Time of the last response, and the polling interval, in ms. */
  dataUpdatedAt: number;
  every: number;
  /** Whether older pipelines are not loaded. */
  hasMore: boolean;
  loadMore: () => void;
  retry: () => void;
}

/** The pipelines that match a filter and were launched since a time, newest first, by page. */
export function usePipelineList(filter: ListQuery, since: number | null): PipelineList {
  const list = useInfiniteQuery({
    queryKey: ["pipelines", filter],
    queryFn: ({ signal, pageParam, client, queryKey }) => {
      const known = client.getQueryData<InfiniteData<Page, string | null>>(queryKey);
      const before = known?.pages[known.pageParams.indexOf(pageParam)];
      const query = { ...filter, limit: PAGE, ...(pageParam === null ? {} : { after: pageParam }) };
      return fetchPage(query, before, signal);
    },
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.next,
    // A refresh fetches every page, so more pages refresh less often.
    refetchInterval: ({ state }) => intervalOf(state.data),
    placeholderData: keepPreviousData,
  });
  const { hasNextPage, isFetchingNextPage, dataUpdatedAt } = list;
  const loaded = useMemo(() => list.data?.pages.flatMap((page) => page.pipelines), [list.data]);
  const pipelines = useMemo(
    () => (loaded === undefined ? undefined : launchedSince(loaded, since)),
    [loaded, since],
  );
  return {
    pipelines,
    historyOf: useMemo(
      () => historyFinder(list.data?.pages.flatMap((page) => page.histories) ?? []),
      [list.data],
    ),
    error: list.error,
    dataUpdatedAt,
    every: intervalOf(list.data),
    hasMore: hasNextPage && pipelines?.length === loaded?.length,
    loadMore: () => {
      if (hasNextPage && !isFetchingNextPage) void list.fetchNextPage();
    },
    retry: () => void list.refetch(),
  };
}

function intervalOf(data: { pages: readonly unknown[] } | undefined): number {
  return REFRESH_MS * Math.max(1, data?.pages.length ?? 1);
}

/** Histories cost much more than rows and change only with them. */
async function fetchPage(query: ListQuery, before: Page | undefined, signal: AbortSignal) {
  if (before !== undefined) {
    const page = await api.pipelines(query, signal);
    if (hasSameRuns(before.pipelines, page.pipelines))
      return { ...page, histories: before.histories };
  }
  return api.pipelines({ ...query, history: true }, signal);
}
