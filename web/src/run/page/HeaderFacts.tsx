import { useQuery } from "@tanstack/react-query";

import { api } from "@/api/client";
import type { PipelineRecord, PipelineSummary, Workers } from "@/api/schema";
import { useNow } from "@/components/useNow";
import { duration, moment } from "@/lib/time";
import { useHistory } from "@/run/live/useUsual";
import { activeTime, wallText } from "@/run/model/activity";
import { withoutCommand } from "@/run/model/advice";
import { earlierDurations, estimate } from "@/run/model/estimate";
import { ROOT } from "@/run/model/paths";
import { pauseNote } from "@/run/model/paused";
import { failures } from "@/run/model/states";
import { mostCommonReason } from "@/run/model/waiting";
import { restingText, workersText } from "@/run/model/workers";
import styles from "@/run/page/PipelineHead.module.css";

/** Polling interval of wait reasons, in ms. */
const REFRESH_MS = 3000;
/** Number of nodes whose wait reasons are requested; the others are similar. */
const MAX_NODES = 50;

/** The run time, and an estimate of the remaining time, or the time of the end. */
export function Times({ summary }: { summary: PipelineSummary }) {
  const now = useNow(!summary.settled);
  const elapsed = activeTime(summary, now);
  if (elapsed === null) return null;
  const { settled, ended } = summary;
  return (
    <>
      <span className="number" title={wallText(summary, now) ?? undefined}>
        {duration(elapsed)}
        {settled && ended !== null ? (
          <span className={styles.note}>{`, ended ${moment(ended)}`}</span>
        ) : null}
      </span>
      {settled || summary.state !== "running" ? null : (
        <TimeLeft summary={summary} took={elapsed} />
      )}
    </>
  );
}

/** What the pipeline waits for or does now, as far as there is room. */
export function HeaderNotes({ summary }: { summary: PipelineSummary }) {
  const { pipeline, images } = summary;
  const building = images.filter((image) => !["pending", "done", "error"].includes(image.state));
  const pause = pauseNote(summary);
  return (
    <>
      {pipeline.lifecycle === "active" ? null : (
        <span className={styles.note}>{pipeline.lifecycle}</span>
      )}
      {pause === null ? null : <span className={`${styles.note ?? ""} clip`}>{pause}</span>}
      <Waiting summary={summary} />
      {building.map((image) => (
        <span key={image.name} className={`${styles.note ?? ""} clip`}>
          {`image ${image.name}: ${image.state}`}
        </span>
      ))}
      <WorkersInUse summary={summary} />
    </>
  );
}

function TimeLeft({ summary, took }: { summary: PipelineSummary; took: number }) {
  const { history } = useHistory(summary);
  const found = estimate(took, earlierDurations(summary, history?.runs ?? []));
  if (found === null) return null;
  const usual = `usually takes ${duration(found.usual)}`;
  return (
    <span className={`${styles.note ?? ""} number clip`} title={usual}>
      {found.remaining === null
        ? `longer than usual (${duration(found.usual)})`
        : `about ${duration(found.remaining)} left`}
    </span>
  );
}

/** Explains why queued commands wait, or why nothing starts. */
function Waiting({ summary }: { summary: PipelineSummary }) {
  const { pipeline, counts, settled, seq } = summary;
  // After failures, the tree and the overview have the reasons.
  const stuck = settled && pipeline.armed && failures(counts) === 0;
  const state = counts.queued > 0 ? "queued" : stuck && counts.pending > 0 ? "pending" : null;
  const waiting = useQuery({
    // The overview of the root requests the queued commands, too.
    queryKey: stuck ? ["waiting", pipeline.id, state, seq] : ["queued", pipeline.id, ROOT],
    queryFn: ({ signal }) =>
      api.tree(
        pipeline.id,
        { root: ROOT, state: state ?? "queued", limit: MAX_NODES, attempts: "none" },
        signal,
      ),
    enabled: state !== null,
    refetchInterval: stuck ? false : REFRESH_MS,
  });
  const reason = state === null ? null : mostCommonReason(waiting.data?.nodes ?? []);
  if (reason === null) return null;
  const text = withoutCommand(reason.text);
  return (
    <span className={`${styles.note ?? ""} clip`} title={text}>
      {state}: {text}
    </span>
  );
}

/** The number of workers and the CPU use. */
function WorkersInUse({ summary }: { summary: PipelineSummary }) {
  const { workers } = summary;
  if (workers === null) return null;
  const text = summary.settled ? restingText(workers) : workersText(summary.pipeline, workers);
  if (text === null) return null;
  return (
    <span
      className={`${styles.note ?? ""} number clip`}
      title={workersTitle(summary.pipeline.engine, workers)}
    >
      {text}
    </span>
  );
}

function workersTitle(engine: PipelineRecord["engine"], { cpu }: Workers): string {
  const what = engine === "process" ? "Slots for plain processes" : "Containers";
  const machine = cpu === null ? "" : ". CPUs are shared by all pipelines on this machine";
  return `${what} of this pipeline. An idle one runs the next suitable command${machine}.`;
}
