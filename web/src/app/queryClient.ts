import { QueryClient } from "@tanstack/react-query";

import { ApiError } from "@/api/client";

/** Retry only if the server did not respond. */
function shouldRetry(failures: number, error: Error): boolean {
  return !(error instanceof ApiError) && failures < 2;
}

export const queryClient = new QueryClient({
  defaultOptions: {
    // The agent may be on this machine, so the browser's online status is irrelevant.
    queries: { retry: shouldRetry, networkMode: "always", staleTime: 1000 },
    mutations: { retry: false, networkMode: "always" },
  },
});
