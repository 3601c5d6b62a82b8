import type { NodeView } from "@/api/schema";
import { lastLines } from "@/model/failures";

/** The last lines of output of a failed node. */
export function FailureTail({ node }: { node: NodeView }) {
  const lines = lastLines(node);
  return lines.length === 0 ? null : (
    <pre className="failure-tail" role="region" aria-label={`Output of ${node.path}`} tabIndex={0}>
      {lines.join("\n")}
    </pre>
  );
}
