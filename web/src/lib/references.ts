/**
 * References to pipelines of linked agents: `a/AGENT/ID` in place of an id. Only the API client and
 * the URLs of pages know that they are not ids.
 */

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

/** A reference to another pipeline, by its id, on the server of the first one. */
export function beside(reference: string, id: string): string {
  const { agent } = parseReference(reference);
  return agent === null ? id : referenceTo(agent, id);
}
