import { useQuery } from "@tanstack/react-query";

import { messageOf } from "@/api/client";
import type { NodeDetail, NodeView } from "@/api/schema";
import { Button } from "@/components/Button";
import { Failure } from "@/components/Empty";
import { Loading } from "@/components/Loading";
import { StateMark } from "@/components/StateMark";
import { followLink, pipelineUrl } from "@/lib/location";
import { plural } from "@/lib/time";
import { useThrottled } from "@/lib/useThrottled";
import { findCauses } from "@/live/finding";
import type { PipelineSession } from "@/live/session";
import { type FailureGroup, groupFailures } from "@/model/failures";
import { ROOT } from "@/model/paths";
import { failures, isFailed } from "@/model/states";
import { CellMap } from "@/pages/pipeline/node/CellMap";
import { FailureTail } from "@/pages/pipeline/node/FailureTail";
import { ReportsSection } from "@/pages/pipeline/node/ReportsSection";
import type { Orders } from "@/pages/pipeline/orders/useOrders";

const MOST = 500;
const SHOWN = 12;
/** Groups of failures whose last lines are shown. */
const TAILS = 5;
/** Failures of a run that goes on are asked for no more often. */
const REFRESH_MS = 1000;
interface Props {
  session: PipelineSession;
  detail: NodeDetail;
  orders: Orders;
}

/** Of a group: what failed below it, alike failures together; of the root, reports as well. */
export function OverviewTab({ session, detail, orders }: Props) {
  const { path } = detail.node;
  const counts = session.model?.nodes.get(path)?.counts ?? detail.node.counts;
  const state = session.model?.nodes.get(path)?.state ?? detail.node.state;
  const failedExecs = counts === null ? 0 : failures(counts);
  const hasFailed = failedExecs > 0 || isFailed(state);
  const found = useQuery({
    queryKey: ["failures", session.id, path, useThrottled(failedExecs, REFRESH_MS), state],
    queryFn: () => findCauses(session.id, path, MOST),
    enabled: hasFailed,
    placeholderData: (before: NodeView[] | undefined) => before,
  });
  const known = found.data?.length ?? MOST;
  const failed = known < MOST ? known : Math.max(known, failedExecs);
  const top = (
    <>
      {path === ROOT ? <ReportsSection session={session} failed={hasFailed} /> : null}
      <CellMap key={path} session={session} path={path} counts={counts} />
    </>
  );
  if (!hasFailed) {
    return (
      <div className="overview">
        {top}
        <p className="muted">Nothing below it has failed.</p>
      </div>
    );
  }
  // Skipped ones count by their state, and are neither listed nor reset.
  const allSkipped = found.data?.length === 0 && !found.isPlaceholderData;
  if (found.isError) return <Failure message={messageOf(found.error)} />;
  return (
    <div className="overview">
      {top}
      <div className="overview-head">
        <h2>{plural(failed, "failure")}</h2>
        {allSkipped ? null : (
          <Button disabled={orders.busy} onClick={() => void orders.resetFailed(path)}>
            Reset what failed
          </Button>
        )}
      </div>
      {found.data === undefined ? <Loading /> : null}
      {allSkipped ? <p className="muted">What failed here is skipped.</p> : null}
      {groupFailures(found.data ?? []).map((group, place) => (
        <section key={group.reason} className="failure-group">
          <h3>
            <StateMark mark={group.nodes[0]?.state ?? "error"} label /> {group.reason}
            <span className="muted"> · {plural(group.nodes.length, "node")}</span>
            {group.nodes.length === failed ? null : (
              <Button
                look="quiet"
                aria-label={`Reset these: ${group.reason}`}
                disabled={orders.busy}
                onClick={() => void orders.nodes("reset", pathsOf(group))}
              >
                Reset these
              </Button>
            )}
          </h3>
          <ul>
            {group.nodes.slice(0, SHOWN).map((node) => (
              <li key={node.path}>
                <a href={pipelineUrl(session.id, node.path)} onClick={followLink} className="mono">
                  {node.path}
                </a>
                {node.file === null ? null : (
                  <span className="muted">
                    {" "}
                    {node.file.split("/").at(-1)}:{node.line}
                  </span>
                )}
              </li>
            ))}
          </ul>
          {group.nodes[0] === undefined || place >= TAILS ? null : (
            <FailureTail node={group.nodes[0]} />
          )}
          {group.nodes.length > SHOWN ? (
            <p className="muted">and {group.nodes.length - SHOWN} more</p>
          ) : null}
        </section>
      ))}
    </div>
  );
}

function pathsOf(group: FailureGroup): string[] {
  return group.nodes.map((node) => node.path);
}
