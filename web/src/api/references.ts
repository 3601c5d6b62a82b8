/** Responses of linked agents, with references in place of ids (`@/lib/references`). */

import type { PipelineList, PipelineSummary } from "@/api/schema";
import { beside, parseReference, referenceTo } from "@/lib/references";

/** A summary whose id is a reference if an agent has the pipeline. */
export function withReference(
  summary: PipelineSummary,
  agent: string | null = summary.agent?.id ?? null,
): PipelineSummary {
  if (agent === null) return summary;
  const { id, parent, copy_of: original } = summary.pipeline;
  const pipeline = {
    ...summary.pipeline,
    id: referenceTo(agent, id),
    parent: parent === null ? null : { ...parent, pipeline: referenceTo(agent, parent.pipeline) },
    copy_of: original === null ? null : referenceTo(agent, original),
  };
  return { ...summary, pipeline };
}

/** A list in which ids are references; `server`: a pipeline of the agent that sent the list. */
export function withReferences(list: PipelineList, server?: string): PipelineList {
  if (server === undefined || parseReference(server).agent === null) {
    return { ...list, pipelines: list.pipelines.map((summary) => withReference(summary)) };
  }
  const { agent } = parseReference(server);
  return {
    ...list,
    pipelines: list.pipelines.map((summary) => withReference(summary, agent)),
    histories: list.histories.map((history) => ({
      ...history,
      runs: history.runs.map((run) => ({ ...run, id: beside(server, run.id) })),
    })),
  };
}
