import { useQuery } from "@tanstack/react-query";

import { api } from "@/api/client";
import type { NodeView, PipelineSummary } from "@/api/schema";
import { programKey } from "@/model/runs";

const REFRESH_MS = 5000;
/** Pipelines that are searched for those of the program; the API has no filter by program. */
const MAX_PIPELINES = 1000;
/** Commands of a pipeline that are compared, and per page. */
export const MAX_COMPARED = 5000;
const PAGE = 1000;

/** The pipelines of a program, newest first. */
export function useProgram(title: string, program: string | null) {
  return useQuery({
    queryKey: ["program", title, program],
    queryFn: async ({ signal }) => {
      const query = { text: title, lifecycle: "all", limit: MAX_PIPELINES } as const;
      const { pipelines } = await api.pipelines(query, signal);
      const key = programKey({ title, program });
      return pipelines.filter((one) => programKey(one.pipeline) === key);
    },
    refetchInterval: REFRESH_MS,
  });
}

/** Paths of the failed commands of pipelines that have ended, in their order. */
export function useFailedPaths(pipelines: readonly PipelineSummary[]) {
  const ids = pipelines.map((one) => one.pipeline.id);
  return useQuery({
    queryKey: ["program-failures", ids],
    queryFn: ({ signal }) =>
      Promise.all(
        pipelines.map(async ({ pipeline, counts }) => {
          if (counts.error + counts.killed === 0) return new Set<string>();
          const query = { failed: true, limit: PAGE } as const;
          const { nodes } = await api.tree(pipeline.id, query, signal);
          return new Set(nodes.map((node) => node.path));
        }),
      ),
    enabled: ids.length > 0,
    staleTime: Infinity,
  });
}

/** The commands of a pipeline, at most `MAX_COMPARED`, with their newest attempts. */
export function useNodes(id: string | undefined) {
  return useQuery({
    queryKey: ["program-nodes", id],
    queryFn: async ({ signal }) => {
      const found: NodeView[] = [];
      let after: string | null = null;
      do {
        const query = { limit: PAGE, attempts: "newest", ...(after === null ? {} : { after }) };
        const page: Awaited<ReturnType<typeof api.tree>> = await api.tree(
          id ?? "",
          query as Parameters<typeof api.tree>[1],
          signal,
        );
        found.push(...page.nodes);
        after = page.next;
      } while (after !== null && found.length < MAX_COMPARED);
      return found;
    },
    enabled: id !== undefined,
  });
}
