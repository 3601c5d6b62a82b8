import { focusManager, QueryClient } from "@tanstack/react-query";

import { ApiError } from "@/api/client";
import { attention } from "@/api/connection";

/** Interval of repeating queries that failed, and that are not polled anyway, in ms. */
const REPEAT_MS = 10_000;
const SERVER_ERROR = 500;

/** Whether a query failed for a reason that may pass without a change by the user. */
function mayPass(error: Error | null): boolean {
  return error !== null && (!(error instanceof ApiError) || error.status >= SERVER_ERROR);
}

// The machine may have slept, or the server may have been offline, while the page had the focus.
focusManager.setEventListener((onFocus) => attention.subscribe(() => onFocus()));

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      // The API client repeats requests. The agent may be on this machine, so the browser's online
      // status is irrelevant.
      retry: false,
      networkMode: "always",
      staleTime: 1000,
      refetchInterval: ({ state }) => (mayPass(state.error) ? REPEAT_MS : false),
    },
    mutations: { retry: false, networkMode: "always" },
  },
});
