/** The last lines of failed nodes: of stderr, or of stdout where there are none. */

import { queryOptions, useQuery, useQueryClient } from "@tanstack/react-query";

import { api } from "@/api/client";
import type { NodeView } from "@/api/schema";
import { plainText } from "@/lib/ansi";
import { decodeBase64 } from "@/lib/base64";
import type { PipelineSession } from "@/live/session";

/** Bytes that are read from the end of an output, and lines that are kept of them. */
const BYTES = 4000;
const LINES = 8;
/** Failures whose last line is looked at, to tell them apart; in the cloud each is a call that costs. */
const LOOKED_AT = { local: 100, cloud: 20 } as const;
const AT_ONCE = 4;
export const NO_LINES: ReadonlyMap<string, string> = new Map();

/** The query for the tail of a node's newest attempt. */
export function tailQuery(id: string, node: NodeView) {
  const attempt = node.attempts.at(-1)?.number;
  return queryOptions({
    queryKey: ["tail", id, node.path, attempt],
    queryFn: async ({ signal }) => {
      if (attempt === undefined) return "";
      const place = { path: node.path, attempt };
      return (
        (await lastLines(id, { ...place, stream: "stderr" }, signal)) ||
        (await lastLines(id, { ...place, stream: "stdout" }, signal))
      );
    },
    staleTime: Infinity, // the attempt has ended
  });
}

async function lastLines(
  id: string,
  place: { path: string; attempt: number; stream: "stdout" | "stderr" },
  signal: AbortSignal,
): Promise<string> {
  const chunk = await api.log(id, { ...place, offset: -BYTES, limit: BYTES }, signal);
  const text = new TextDecoder().decode(decodeBase64(chunk.data)).trimEnd();
  return text.split("\n").slice(-LINES).map(plainText).join("\n");
}

/** What the first of these failed nodes printed last, by path; null until that is known. */
export function useLastLines(
  session: PipelineSession,
  nodes: readonly NodeView[],
): ReadonlyMap<string, string> | null {
  const client = useQueryClient();
  const mode = session.model?.summary.pipeline.mode ?? "local";
  const asked = nodes.slice(0, LOOKED_AT[mode]);
  const tries = asked.map((node) => `${node.path} ${node.attempts.at(-1)?.number ?? 0}`);
  const lines = useQuery({
    queryKey: ["last-lines", session.id, tries],
    queryFn: async () => {
      const found = new Map<string, string>();
      // Few at a time: what else the page asks for must not wait behind them.
      for (let first = 0; first < asked.length; first += AT_ONCE) {
        const some = asked.slice(first, first + AT_ONCE);
        const tails = await Promise.all(
          some.map((node) => client.query(tailQuery(session.id, node))),
        );
        for (const [place, node] of some.entries()) {
          found.set(node.path, tails[place]?.split("\n").at(-1) ?? "");
        }
      }
      return found;
    },
    enabled: asked.length > 0,
    placeholderData: (before: Map<string, string> | undefined) => before,
  });
  if (lines.data !== undefined) return lines.data;
  // Without an answer they are told apart by how they ended.
  return asked.length === 0 || lines.isError ? NO_LINES : null;
}
