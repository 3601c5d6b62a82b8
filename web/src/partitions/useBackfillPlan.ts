import { useQuery } from "@tanstack/react-query";

import type { BackfillRange, ProgramStart, ProgramView, StartProgram } from "@/api/schema";
import { programApi } from "@/programs/api/programs";

const POLL_MS = 400;

export interface BackfillPlan {
  view: ProgramView;
  /** The request that launches it; null if the program cannot be started from here. */
  request: Partial<StartProgram> | null;
  /** The plan, whose size and price are known before the launch. */
  start: ProgramStart | null;
}

/** Runs the script of a program to count the commands of a backfill; nothing is launched. */
export function useBackfillPlan(pipeline: string, only: NonNullable<BackfillRange["only"]>) {
  return useQuery({
    queryKey: ["backfill-plan", pipeline, only],
    queryFn: ({ signal }) => planOf(pipeline, only, signal),
    staleTime: Infinity,
    gcTime: 0,
  });
}

async function planOf(
  pipeline: string,
  only: NonNullable<BackfillRange["only"]>,
  signal: AbortSignal,
): Promise<BackfillPlan> {
  const view = await programApi.program(pipeline, signal);
  if (view.call === null || view.problem !== null) return { view, request: null, start: null };
  const backfill = { first: null, last: null, only, max_concurrent: 10 };
  const request = { arguments: view.call.arguments, backfill };
  let start = await programApi.start(pipeline, { ...request, action: "plan" });
  while (start.state === "running") {
    await new Promise((resolve) => window.setTimeout(resolve, POLL_MS));
    signal.throwIfAborted();
    start = await programApi.find(start.id, signal);
  }
  return { view, request, start };
}
