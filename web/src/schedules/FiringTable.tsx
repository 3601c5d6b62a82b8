import type { Firing } from "@/api/schema";
import { moment } from "@/lib/time";
import { ListTable } from "@/people/ListTable";
import styles from "@/people/Table.module.css";
import { PipelineLink } from "@/schedules/ScheduleTexts";
import { SCHEDULES } from "@/schedules/texts/schedules";

/** The history of a schedule, the newest firing first. */
export function FiringTable({ firings }: { firings: readonly Firing[] }) {
  return (
    <ListTable
      columns={[
        SCHEDULES.due,
        SCHEDULES.state,
        SCHEDULES.pipeline,
        SCHEDULES.cause,
        SCHEDULES.reason,
      ]}
    >
      {firings.map((firing) => (
        <tr key={firing.id}>
          <th scope="row">{dueText(firing)}</th>
          <td>
            <FiringState firing={firing} />
          </td>
          <td>{firing.pipeline === null ? null : <PipelineLink id={firing.pipeline} />}</td>
          <td className="muted">{SCHEDULES.causes[firing.cause]}</td>
          <td className={styles.wide}>{firing.why}</td>
        </tr>
      ))}
    </ListTable>
  );
}

function dueText({ due, until }: Firing): string {
  const first = moment(due);
  return until === null || until === due ? first : SCHEDULES.until(first, moment(until));
}

function FiringState({ firing: { state, outcome } }: { firing: Firing }) {
  const isBad = state === "failed" || outcome === "error" || outcome === "killed";
  return <span className={isBad ? "state-error" : undefined}>{SCHEDULES.states[state]}</span>;
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
