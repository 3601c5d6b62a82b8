import { keepPreviousData, useInfiniteQuery } from "@tanstack/react-query";
import { useMemo } from "react";

import { api, type ListQuery } from "@/api/client";
import type { PipelineRecord, PipelineSummary, RunHistory } from "@/api/schema";
import { historyFinder } from "@/model/runs";

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
    queryFn: ({ signal, pageParam }) =>
      api.pipelines(
        {
          ...filter,
          limit: PAGE,
          history: true,
          ...(pageParam === null ? {} : { after: pageParam }),
        },
        signal,
      ),
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
