/** The launches of a program, and the actions of people on its pipelines. */

import type { AuditEntry, PipelineSummary } from "@/api/schema";
import { plural } from "@/lib/time";

/** Maximum number of actions that are shown. */
export const MAX_ACTIONS = 8;

export interface ProgramAction {
  key: string;
  time: number;
  who: string;
  /** The program of an assistant that acted for the person. */
  assistant: string | null;
  what: string;
  pipeline: string;
}

/** The launches of pipelines and the requests on them, the newest first. */
export function programActions(
  pipelines: readonly PipelineSummary[],
  entries: readonly AuditEntry[],
): ProgramAction[] {
  const known = new Set(pipelines.map(({ pipeline }) => pipeline.id));
  const requests = entries.filter(
    ({ subject, operation }) => known.has(subject) && !operation.startsWith("launch"),
  );
  const actions = [...pipelines.map(launchOf), ...requests.map(requestOf)];
  return actions.toSorted((one, other) => other.time - one.time).slice(0, MAX_ACTIONS);
}

function launchOf({ pipeline }: PipelineSummary): ProgramAction {
  const { id, created, owner, git, parent } = pipeline;
  const who =
    parent !== null
      ? `${parent.path} of ${parent.pipeline}`
      : git !== null && git.trigger !== ""
        ? `trigger ${git.trigger}`
        : owner;
  const what = "launched";
  return { key: `launch ${id}`, time: created, who, assistant: null, what, pipeline: id };
}

function requestOf({
  request,
  time,
  user,
  client,
  operation,
  paths,
  subject,
}: AuditEntry): ProgramAction {
  const nodes =
    paths.length === 0 ? "" : ` ${paths.length === 1 ? paths[0] : plural(paths.length, "node")} of`;
  const what = `${operation.replaceAll("_", " ")}${nodes}`;
  const assistant = client === "" ? null : client;
  return { key: `${request} ${time}`, time, who: user, assistant, what, pipeline: subject };
}
