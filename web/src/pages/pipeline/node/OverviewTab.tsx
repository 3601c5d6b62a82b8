import { useQuery } from "@tanstack/react-query";

import { messageOf } from "@/api/client";
import type { NodeDetail, NodeView } from "@/api/schema";
import { Button } from "@/components/Button";
import { LoadError } from "@/components/EmptyState";
import { Loading } from "@/components/Loading";
import { StateIcon } from "@/components/StateIcon";
import { followLink, pipelineUrl } from "@/lib/location";
import { plural } from "@/lib/time";
import { useThrottled } from "@/lib/useThrottled";
import { findCauses } from "@/live/search";
import type { PipelineSession } from "@/live/session";
import { type FailureGroup, groupFailures } from "@/model/failures";
import { ROOT } from "@/model/paths";
import { failures, isFailed } from "@/model/states";
import type { Actions } from "@/pages/pipeline/actions/useActions";
import { FailureTail } from "@/pages/pipeline/node/FailureTail";
import { ReportsSection } from "@/pages/pipeline/node/ReportsSection";
import { StateGrid } from "@/pages/pipeline/node/StateGrid";

const MAX_FAILURES = 500;
const MAX_SHOWN = 12;
/** Maximum number of groups with output. */
const MAX_TAILS = 5;
/** Minimum interval between requests while failures increase, in ms. */
const REFRESH_MS = 1000;
interface Props {
  session: PipelineSession;
  detail: NodeDetail;
  actions: Actions;
}

/** An overview of a group: failures by reason, and reports at the root. */
export function OverviewTab({ session, detail, actions }: Props) {
  const { path } = detail.node;
  const counts = session.model?.nodes.get(path)?.counts ?? detail.node.counts;
  const state = session.model?.nodes.get(path)?.state ?? detail.node.state;
  const failedExecs = counts === null ? 0 : failures(counts);
  const hasFailed = failedExecs > 0 || isFailed(state);
  const found = useQuery({
    queryKey: ["failures", session.id, path, useThrottled(failedExecs, REFRESH_MS), state],
    queryFn: () => findCauses(session.id, path, MAX_FAILURES),
    enabled: hasFailed,
    placeholderData: (before: NodeView[] | undefined) => before,
  });
  const known = found.data?.length ?? MAX_FAILURES;
  const failed = known < MAX_FAILURES ? known : Math.max(known, failedExecs);
  const top = (
    <>
      {path === ROOT ? <ReportsSection session={session} failed={hasFailed} /> : null}
      <StateGrid key={path} session={session} path={path} counts={counts} />
    </>
  );
  if (!hasFailed) {
    return (
      <div className="overview">
        {top}
        <p className="muted">No failures.</p>
      </div>
    );
  }
  // Skipped failures count by their state, but are neither listed nor rerun.
  const allSkipped = found.data?.length === 0 && !found.isPlaceholderData;
  if (found.isError) return <LoadError message={messageOf(found.error)} />;
  return (
    <div className="overview">
      {top}
      <div className="overview-head">
        <h2>{plural(failed, "failure")}</h2>
        {allSkipped ? null : (
          <Button disabled={actions.busy} onClick={() => void actions.rerunFailed(path)}>
            Rerun failed
          </Button>
        )}
      </div>
      {found.data === undefined ? <Loading /> : null}
      {allSkipped ? <p className="muted">All failed commands are skipped.</p> : null}
      {groupFailures(found.data ?? []).map((group, place) => (
        <section key={group.reason} className="failure-group">
          <h3>
            <StateIcon state={group.nodes[0]?.state ?? "error"} label /> {group.reason}
            <span className="muted"> · {plural(group.nodes.length, "node")}</span>
            {group.nodes.length === failed ? null : (
              <Button
                variant="quiet"
                aria-label={`Rerun these: ${group.reason}`}
                disabled={actions.busy}
                onClick={() => void actions.nodes("rerun", pathsOf(group))}
              >
                Rerun these
              </Button>
            )}
          </h3>
          <ul>
            {group.nodes.slice(0, MAX_SHOWN).map((node) => (
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
          {group.nodes[0] === undefined || place >= MAX_TAILS ? null : (
            <FailureTail node={group.nodes[0]} />
          )}
          {group.nodes.length > MAX_SHOWN ? (
            <p className="muted">and {group.nodes.length - MAX_SHOWN} more</p>
          ) : null}
        </section>
      ))}
    </div>
  );
}

function pathsOf(group: FailureGroup): string[] {
  return group.nodes.map((node) => node.path);
}
