import { useQuery } from "@tanstack/react-query";

import type { NodeView } from "@/api/schema";
import { tailQuery } from "@/live/tails";

/** The last lines of a failed node. */
export function FailureTail({ id, node }: { id: string; node: NodeView }) {
  const tail = useQuery(tailQuery(id, node));
  return tail.data ? (
    <pre className="failure-tail" role="region" aria-label={`Output of ${node.path}`} tabIndex={0}>
      {tail.data}
    </pre>
  ) : null;
}
