import { useQuery } from "@tanstack/react-query";

import { get, pipelinePath } from "@/api/client";
import type { Diagnosis } from "@/api/schema";
import { beside } from "@/lib/references";

/** The diagnosis of a pipeline that has failed and settled; `version` changes with its outcome. */
export function useDiagnosis(id: string, version: number, enabled: boolean) {
  return useQuery({
    queryKey: ["diagnosis", id, version],
    queryFn: async ({ signal }) =>
      withReferences(id, await get<Diagnosis>(pipelinePath(id, "/diagnosis"), {}, signal)),
    enabled,
    staleTime: Infinity,
  });
}

/** The ids of pipelines as references, for those of a linked agent. */
function withReferences(id: string, found: Diagnosis): Diagnosis {
  const reference = (each: string) => beside(id, each);
  const { baseline } = found;
  return {
    ...found,
    baseline: baseline === null ? null : { ...baseline, id: reference(baseline.id) },
    first_bad: found.first_bad === null ? null : reference(found.first_bad),
    earlier: found.earlier.map((one) => ({ ...one, id: reference(one.id) })),
    causes: found.causes.map((one) => ({
      ...one,
      since: one.since === null ? null : reference(one.since),
      passed_in: one.passed_in === null ? null : reference(one.passed_in),
    })),
  };
}
