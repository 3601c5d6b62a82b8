/** Calls that launch a pipeline's tree or its program again. */

import { get, pipelinePath, post, write } from "@/api/client";
import type { PipelineSummary, ProgramStart, ProgramView, StartProgram } from "@/api/schema";

export const programApi = {
  program: (id: string, signal?: AbortSignal) =>
    get<ProgramView>(pipelinePath(id, "/program"), {}, signal),
  /** Launch the tree as it was launched. */
  launchAgain: (id: string, request: { run: boolean; title: string | null }) =>
    post<PipelineSummary>(pipelinePath(id, "/launch-again"), request),
  /** Start the program in a process on the agent's machine. */
  start: (id: string, request: Partial<StartProgram>) =>
    post<ProgramStart>(pipelinePath(id, "/program"), request),
  find: (start: string, signal?: AbortSignal) =>
    get<ProgramStart>(`/program-starts/${encodeURIComponent(start)}`, {}, signal),
  cancel: (start: string) =>
    write<ProgramStart>("DELETE", `/program-starts/${encodeURIComponent(start)}`),
};
