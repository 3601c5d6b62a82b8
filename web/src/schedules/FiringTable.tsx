import type { Firing, FiringCause, FiringState } from "@/api/schema";
import { moment } from "@/lib/time";
import { ListTable } from "@/people/ListTable";
import styles from "@/people/Table.module.css";
import { PipelineLink } from "@/schedules/ScheduleTexts";

const CAUSES: Record<FiringCause, string> = {
  schedule: "on time",
  catch_up: "caught up",
  backfill: "backfill",
  manual: "by hand",
  chain: "after a pipeline",
};

export const STATES: Record<FiringState, string> = {
  pending: "Pending",
  queued: "Queued",
  launched: "Launched",
  skipped: "Skipped",
  missed: "Missed",
  failed: "Failed",
};

/** The history of a schedule, the newest firing first. */
export function FiringTable({ firings }: { firings: readonly Firing[] }) {
  return (
    <ListTable columns={["Due", "State", "Pipeline", "Cause", "Reason"]}>
      {firings.map((firing) => (
        <tr key={firing.id}>
          <th scope="row">{dueText(firing)}</th>
          <td>
            <FiringState firing={firing} />
          </td>
          <td>{firing.pipeline === null ? null : <PipelineLink id={firing.pipeline} />}</td>
          <td className="muted">{CAUSES[firing.cause]}</td>
          <td className={styles.wide}>{firing.why}</td>
        </tr>
      ))}
    </ListTable>
  );
}

function dueText({ due, until }: Firing): string {
  const first = moment(due);
  return until === null || until === due ? first : `${first} to ${moment(until)}`;
}

function FiringState({ firing: { state, outcome } }: { firing: Firing }) {
  const isBad = state === "failed" || outcome === "error" || outcome === "killed";
  return <span className={isBad ? "state-error" : undefined}>{STATES[state]}</span>;
}

/** A firing in one line. */
export function LastFiring({ firing }: { firing: Firing }) {
  return (
    <span title={firing.why ?? undefined}>
      <FiringState firing={firing} />{" "}
      {firing.pipeline === null ? null : <PipelineLink id={firing.pipeline} />}
    </span>
  );
}
