/** Responses of linked agents, with references in place of ids (`@/lib/references`). */

import type { PipelineList, PipelineSummary } from "@/api/schema";
import { referenceTo } from "@/lib/references";

/** A summary whose id is a reference if an agent has the pipeline. */
export function withReference(
  summary: PipelineSummary,
  agent: string | null = summary.agent?.id ?? null,
): PipelineSummary {
  if (agent === null) return summary;
  const { pipeline } = summary;
  return { ...summary, pipeline: { ...pipeline, id: referenceTo(agent, pipeline.id) } };
}

export function withReferences(list: PipelineList): PipelineList {
  return { ...list, pipelines: list.pipelines.map((summary) => withReference(summary)) };
}
