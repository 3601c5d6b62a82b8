import { QueryClient } from "@tanstack/react-query";

import { ApiError } from "@/api/client";

/** A refusal stays a refusal; only a call that got no answer is worth another try. */
function worthRetrying(failures: number, error: Error): boolean {
  return !(error instanceof ApiError) && failures < 2;
}

export const queryClient = new QueryClient({
  defaultOptions: {
    // The agent is on this machine: whether the browser believes to be online says nothing.
    queries: { retry: worthRetrying, networkMode: "always", staleTime: 1000 },
    mutations: { retry: false, networkMode: "always" },
  },
});
