/**
 * References to pipelines of linked agents: `a/AGENT/ID` in place of an id. Only this module and
 * the API client know that they are not ids.
 */

import type { PipelineList, PipelineSummary } from "@/api/schema";

export interface Reference {
  /** Null for a pipeline of the server itself. */
  agent: string | null;
  id: string;
}

export function parseReference(reference: string): Reference {
  const [prefix, agent, id, ...rest] = reference.split("/");
  if (prefix !== "a" || !agent || !id || rest.length > 0) return { agent: null, id: reference };
  return { agent, id };
}

export function referenceTo(agent: string, id: string): string {
  return `a/${agent}/${id}`;
}

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
