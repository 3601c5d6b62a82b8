import { useQuery } from "@tanstack/react-query";

import { api } from "@/api/client";
import type { LatestContinuation } from "@/api/schema";
import { followLink, pipelineUrl } from "@/lib/location";
import { moment } from "@/lib/time";
import { visible } from "@/lib/visible";
import type { PipelineSession } from "@/run/live/session";
import { continuationCounts, continuationReason } from "@/programs/model/continuation";
import { ROOT } from "@/run/model/paths";
import styles from "@/programs/Continuation.module.css";

interface Props {
  session: PipelineSession;
  path: string;
  isExec: boolean;
}

/** The commands that the latest replacement of the tree kept, and why the others run. */
export function Continuation({ session, path, isExec }: Props) {
  const revision = session.model?.summary.pipeline.revision ?? 0;
  const plan = useQuery({
    queryKey: ["continuation", session.id, path, revision],
    queryFn: ({ signal }) => api.continuation(session.id, { path }, signal),
    enabled: revision > 0,
    staleTime: Infinity,
  });
  const { data } = plan;
  const [first] = data?.nodes ?? [];
  if (data === undefined || data.time === null || first === undefined) return null;
  const when = `Tree replaced at ${moment(data.time)}`;
  if (isExec) {
    return (
      <p className={styles.line}>
        {when} · {continuationReason(first)}
      </p>
    );
  }
  return (
    <details className={styles.line}>
      <summary>
        {when} · {continuationCounts(data, path === ROOT)}
      </summary>
      <Nodes id={session.id} plan={data} />
    </details>
  );
}

function Nodes({ id, plan }: { id: string; plan: LatestContinuation }) {
  const more = plan.kept + plan.runs + plan.skipped - plan.nodes.length;
  return (
    <ul className={styles.nodes}>
      {plan.nodes.map((node) => (
        <li key={node.path}>
          <a href={pipelineUrl(id, node.path)} onClick={followLink} className="mono">
            {visible(node.path)}
          </a>{" "}
          <span className="muted">{continuationReason(node)}</span>
        </li>
      ))}
      {more > 0 ? <li className="muted">{`and ${more.toLocaleString("en")} more`}</li> : null}
    </ul>
  );
}
