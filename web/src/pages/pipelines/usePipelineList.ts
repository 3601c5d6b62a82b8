import { keepPreviousData, useInfiniteQuery, type InfiniteData } from "@tanstack/react-query";
import { useMemo } from "react";

import { api, type ListQuery } from "@/api/client";
import type {
  PipelineList as Page,
  PipelineRecord,
  PipelineSummary,
  RunHistory,
} from "@/api/schema";
import { historyFinder, sameRuns } from "@/model/runs";

/** Nobody tells of changes of the whole list; it is asked for while somebody looks. */
const REFRESH_MS = 2000;
const PAGE = 200;

export interface PipelineList {
  /** Undefined until the first answer. */
  pipelines: readonly PipelineSummary[] | undefined;
  historyOf: (pipeline: PipelineRecord) => RunHistory | undefined;
  error: Error | null;
  /** Whether there are older ones than those that are listed. */
  hasMore: boolean;
  loadMore: () => void;
  retry: () => void;
}

/** The pipelines that a filter finds, the newest first, as many pages as were scrolled to. */
export function usePipelineList(filter: ListQuery): PipelineList {
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
    // A refresh asks for every page again; with many of them it comes as much less often.
    refetchInterval: ({ state }) => REFRESH_MS * Math.max(1, state.data?.pages.length ?? 1),
    placeholderData: keepPreviousData,
  });
  const { hasNextPage, isFetchingNextPage } = list;
  return {
    pipelines: list.data?.pages.flatMap((page) => page.pipelines),
    historyOf: useMemo(
      () => historyFinder(list.data?.pages.flatMap((page) => page.histories) ?? []),
      [list.data],
    ),
    error: list.error,
    hasMore: hasNextPage,
    loadMore: () => {
      if (hasNextPage && !isFetchingNextPage) void list.fetchNextPage();
    },
    retry: () => void list.refetch(),
  };
}

/** Histories cost much more than the rows, and change only with them. */
async function fetchPage(query: ListQuery, before: Page | undefined, signal: AbortSignal) {
  if (before !== undefined) {
    const page = await api.pipelines(query, signal);
    if (sameRuns(before.pipelines, page.pipelines)) return { ...page, histories: before.histories };
  }
  return api.pipelines({ ...query, history: true }, signal);
}
