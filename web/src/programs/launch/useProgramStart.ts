import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { programApi } from "@/programs/api/programs";
import type { ProgramStart, StartProgram } from "@/api/schema";
import { useSubmitOnce } from "@/components/useSubmitOnce";

const REFRESH_MS = 400;

export interface Starting {
  /** The newest start, if any. */
  current: ProgramStart | null;
  isRunning: boolean;
  error: Error | null;
  begin: (request: Partial<StartProgram>) => void;
  cancel: () => void;
}

/** Starts a program, and follows its process. */
export function useProgramStart(pipeline: string): Starting {
  const [begun, setBegun] = useState<ProgramStart | null>(null);
  const begin = useMutation({
    mutationFn: (request: Partial<StartProgram>) => programApi.start(pipeline, request),
    onMutate: () => setBegun(null),
    onSuccess: setBegun,
  });
  const cancel = useMutation({ mutationFn: () => programApi.cancel(begun?.id ?? "") });
  const followed = useQuery({
    queryKey: ["program-start", begun?.id],
    queryFn: ({ signal }) => programApi.find(begun?.id ?? "", signal),
    enabled: begun !== null && begun.state === "running",
    refetchInterval: ({ state }) =>
      state.error !== null || isOver(state.data) ? false : REFRESH_MS,
    retry: 2,
    gcTime: 0,
  });
  const current = begun === null ? null : (followed.data ?? begun);
  const error = begin.error ?? followed.error ?? cancel.error;
  const isRunning = begin.isPending || (error === null && current?.state === "running");
  const submitOnce = useSubmitOnce(isRunning);
  return {
    current,
    isRunning,
    error,
    begin: (request) => submitOnce(() => begin.mutate(request)),
    cancel: () => cancel.mutate(),
  };
}

function isOver(start: ProgramStart | undefined): boolean {
  return start !== undefined && start.state !== "running";
}
