import { useQuery } from "@tanstack/react-query";

import { api } from "@/api/client";
import type { PipelineRecord, PipelineSummary, Workers } from "@/api/schema";
import { useNow } from "@/components/useNow";
import { duration } from "@/lib/time";
import { activeTime, wallText } from "@/model/activity";
import { earlierDurations, estimate } from "@/model/estimate";
import { historyFinder } from "@/model/runs";
import { mainReason } from "@/model/waiting";
import { workersText } from "@/model/workers";

/** Reasons change with what ends; this often they are asked for while something is queued, in ms. */
const REASONS_MS = 3000;
/** Nodes that are asked why they wait; the others wait for much the same. */
const ASKED = 50;

/** How long it has run, and how long it may still take where it ran before. */
export function Elapsed({ summary }: { summary: PipelineSummary }) {
  const now = useNow(!summary.settled);
  const took = activeTime(summary, now);
  if (took === null) return null;
  return (
    <>
      <span className="number" title={wallText(summary, now) ?? undefined}>
        {duration(took)}
      </span>
      {summary.settled || summary.state !== "running" ? null : (
        <Rest summary={summary} took={took} />
      )}
    </>
  );
}

function Rest({ summary, took }: { summary: PipelineSummary; took: number }) {
  const { id } = summary.pipeline;
  const earlier = useQuery({
    queryKey: ["earlier", id],
    queryFn: ({ signal }) => api.pipelines({ text: id, lifecycle: "all", history: true }, signal),
    staleTime: Infinity,
    retry: false,
  });
  const history = historyFinder(earlier.data?.histories ?? [])(summary.pipeline);
  const found = estimate(took, earlierDurations(summary, history?.runs ?? []));
  if (found === null) return null;
  const usual = `it usually takes ${duration(found.usual)}`;
  return (
    <span className="muted number" title={usual}>
      {found.rest === null
        ? `longer than usual (${duration(found.usual)})`
        : `about ${duration(found.rest)} left`}
    </span>
  );
}

/** Why what is queued does not start; or, when nothing goes on, why what is pending does not. */
export function Waiting({ summary }: { summary: PipelineSummary }) {
  const { pipeline, counts, settled, seq } = summary;
  const stuck = settled && pipeline.armed;
  const state = counts.queued > 0 ? "queued" : stuck && counts.pending > 0 ? "pending" : null;
  const waiting = useQuery({
    queryKey: ["waiting", pipeline.id, state, stuck ? seq : null],
    queryFn: ({ signal }) =>
      api.tree(
        pipeline.id,
        { root: "/", state: state ?? "queued", limit: ASKED, attempts: "none" },
        signal,
      ),
    enabled: state !== null,
    refetchInterval: stuck ? false : REASONS_MS,
    retry: false,
  });
  const reason = state === null ? null : mainReason(waiting.data?.nodes ?? []);
  if (reason === null) {
    return stuck && counts.pending === 0 ? (
      <span className="muted">nothing left to run</span>
    ) : null;
  }
  return (
    <span className="phead-waiting clip" title={reason.text}>
      {state}: {reason.text}
    </span>
  );
}

/** What carries the commands now, and how much of the machine is taken. */
export function WorkersInUse({ summary }: { summary: PipelineSummary }) {
  const { workers } = summary;
  if (workers === null || summary.settled) return null;
  return (
    <span className="muted number" title={workersTitle(summary.pipeline.engine, workers)}>
      {workersText(summary.pipeline, workers)}
    </span>
  );
}

function workersTitle(engine: PipelineRecord["engine"], { cpu }: Workers): string {
  const what = engine === "process" ? "Places for plain processes" : "Containers";
  const machine = cpu === null ? "" : ". The CPUs are those of all pipelines on this machine";
  return `${what} of this pipeline; one that idles takes the next command that fits${machine}`;
}
