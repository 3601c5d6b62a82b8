/** The diagnosis of a failed pipeline, as its overview shows it. */

import type { Diagnosis, FailureCause, PipelineChange } from "@/api/schema";

/** Which reasons are shown. */
export type Segment = "all" | "new" | "still" | "flaky";

export const SEGMENTS: readonly Segment[] = ["all", "new", "still", "flaky"];

export const SEGMENT_LABELS: Record<Segment, string> = {
  all: "All",
  new: "Newly failing",
  still: "Still failing",
  flaky: "Flaky",
};

/** Names of commits, images and fields for people. */
const KINDS: Record<string, string> = {
  commit: "Commit",
  parameter: "Parameter",
  image: "Image",
  command: "Command",
  environment: "Variable",
  secrets: "Secret",
  "base image": "Base image",
  code: "Files",
  "image digest": "Image",
  results: "Result",
  "CPUs or memory": "Size",
  "container settings": "Settings",
};

export function kindLabel(kind: string): string {
  return KINDS[kind] ?? kind;
}

/** The cause of a reason, found by any of its nodes that the diagnosis names. */
export function causeOf(
  found: Diagnosis | undefined,
  paths: readonly string[],
): FailureCause | undefined {
  const wanted = new Set(paths);
  return found?.causes.find((cause) => cause.paths.some((path) => wanted.has(path)));
}

/** Whether a reason is in a segment; one that the diagnosis does not name is in all. */
export function isIn(segment: Segment, cause: FailureCause | undefined): boolean {
  if (segment === "all" || cause === undefined) return true;
  if (segment === "flaky") return cause.flaky;
  return cause.is_new === (segment === "new");
}

export function countOf(found: Diagnosis, segment: Segment): number {
  if (segment === "new") return found.newly_failing;
  if (segment === "still") return found.still_failing;
  return segment === "flaky" ? found.flaky : found.failures;
}

/** `image` for 46, `9f03b1d Round totals` for 12. */
export function suspectsOf(found: Diagnosis): { text: string; count: number }[] {
  return found.changes
    .filter(({ suspect }) => suspect)
    .slice(0, 2)
    .map((change) => ({ text: shortName(change), count: failuresOf(found, change) }));
}

function shortName({ kind, name, names }: PipelineChange): string {
  const label = kindLabel(kind).toLowerCase();
  if (kind === "commit") return `${label} ${name.slice(0, 10)}`;
  const [first] = names.filter((each) => each !== "the commit");
  return `${label} ${first ?? name}`;
}

/** The pipeline in which the failures of a change began; null: in this one. */
export function sinceOf(found: Diagnosis, { causes }: PipelineChange): string | null {
  return causes.map((at) => found.causes[at]?.since ?? null).find((id) => id !== null) ?? null;
}

export function failuresOf(found: Diagnosis, { causes }: PipelineChange): number {
  return causes.reduce((sum, at) => sum + (found.causes[at]?.count ?? 0), 0);
}
