/** Calls that launch a pipeline's tree or its program again. */

import { get, pipelinePath, post, write } from "@/api/client";
import { withReference } from "@/api/references";
import type {
  GitLaunch,
  LaunchRequest,
  PipelineSummary,
  ProgramStart,
  ProgramView,
  StartProgram,
} from "@/api/schema";
import { parseReference, referenceTo } from "@/lib/references";

/** The path of a started program; its id may be a reference, too. */
function startPath(reference: string): string {
  const { agent, id } = parseReference(reference);
  const path = `/program-starts/${encodeURIComponent(id)}`;
  return agent === null ? path : `${path}?${new URLSearchParams({ agent }).toString()}`;
}

/** A started program whose ids are references if an agent started it. */
function withReferences(start: ProgramStart, { agent }: { agent: string | null }): ProgramStart {
  if (agent === null) return start;
  const pipeline = start.pipeline === null ? null : referenceTo(agent, start.pipeline);
  return { ...start, id: referenceTo(agent, start.id), pipeline };
}

export const programApi = {
  program: async (id: string, signal?: AbortSignal) => {
    const view = await get<ProgramView>(pipelinePath(id, "/program"), {}, signal);
    return { ...view, pipeline: withReference(view.pipeline, parseReference(id).agent) };
  },
  /** Launch the tree as it was launched. */
  launchAgain: async (id: string, request: { run: boolean; title: string | null }) =>
    withReference(
      await post<PipelineSummary>(pipelinePath(id, "/launch-again"), request),
      parseReference(id).agent,
    ),
  /** The launch request, without passwords. */
  definition: (id: string, signal?: AbortSignal) =>
    get<LaunchRequest>(pipelinePath(id, "/definition"), {}, signal),
  /** Clone a repository and launch a script of it; only the cloud does. */
  launchFromGit: (request: GitLaunch) => post<PipelineSummary>("/git-launches", request),
  /** Start the program in a process on the agent's machine. */
  start: async (id: string, request: Partial<StartProgram>) =>
    withReferences(
      await post<ProgramStart>(pipelinePath(id, "/program"), request),
      parseReference(id),
    ),
  find: async (start: string, signal?: AbortSignal) =>
    withReferences(await get<ProgramStart>(startPath(start), {}, signal), parseReference(start)),
  cancel: async (start: string) =>
    withReferences(await write<ProgramStart>("DELETE", startPath(start)), parseReference(start)),
};
