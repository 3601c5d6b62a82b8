import { useInfiniteQuery } from "@tanstack/react-query";

import { dataApi } from "@/data/api/data";
import type { DataEntry } from "@/api/schema";

const REFRESH_MS = 4000;

/** The entries of a directory by page. Polls while only the first page is loaded. */
export function useEntries(id: string | null, directory: string) {
  const list = useInfiniteQuery({
    queryKey: entriesKey(id, directory),
    queryFn: ({ pageParam, signal }) => dataApi.list(id, directory, pageParam, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.next,
    refetchInterval: ({ state: { data } }) =>
      data !== undefined && data.pages.length > 1 ? false : REFRESH_MS,
  });
  const entries: DataEntry[] = list.data?.pages.flatMap((page) => page.entries) ?? [];
  return { list, entries };
}

export function entriesKey(id: string | null, directory: string): readonly unknown[] {
  return ["data", id, directory];
}
