import { useQuery } from "@tanstack/react-query";

import { api } from "@/api/client";
import type { NodeView } from "@/api/schema";
import { plainText } from "@/lib/ansi";
import { decodeBase64 } from "@/lib/base64";

/** Bytes that are read from the end of an output, and lines that are shown of them. */
const BYTES = 4000;
const LINES = 8;

interface Props {
  id: string;
  node: NodeView;
}

/** The last lines of a failed node: of stderr, or of stdout where there are none. */
export function FailureTail({ id, node }: Props) {
  const attempt = node.attempts.at(-1)?.number;
  const tail = useQuery({
    queryKey: ["tail", id, node.path, attempt],
    queryFn: async ({ signal }) =>
      (await lastLines("stderr", signal)) || (await lastLines("stdout", signal)),
    enabled: attempt !== undefined,
  });
  const lastLines = async (stream: "stdout" | "stderr", signal: AbortSignal) => {
    const which = attempt === undefined ? {} : { attempt };
    const query = { path: node.path, ...which, stream, limit: BYTES };
    const chunk = await api.log(id, { ...query, offset: -BYTES }, signal);
    const text = new TextDecoder().decode(decodeBase64(chunk.data)).trimEnd();
    return text.split("\n").slice(-LINES).map(plainText).join("\n");
  };
  return tail.data ? <pre className="failure-tail">{tail.data}</pre> : null;
}
