import type { Delivery, GitEvent } from "@/api/schema";
import { Button } from "@/components/Button";
import { moment } from "@/lib/time";
import { ListTable } from "@/people/ListTable";
import styles from "@/people/Table.module.css";
import { PipelineLink } from "@/schedules/ScheduleTexts";

const EVENTS: Record<GitEvent["kind"], string> = {
  pr: "Pull request",
  push: "Push",
  "create-branch": "New branch",
  "delete-branch": "Deleted branch",
  "create-tag": "New tag",
  "delete-tag": "Deleted tag",
  "merge-group": "Merge queue",
  comment: "Comment",
  check: "Button",
  cron: "Schedule",
};

export const RESULTS: Record<Delivery["result"], string> = {
  received: "Received",
  launched: "Launched",
  skipped: "Skipped",
  failed: "Failed",
  deferred: "Deferred",
  queued: "Waits for the plan",
  acted: "Done",
  "waiting for approval": "Waits for approval",
};

interface Props {
  deliveries: readonly Delivery[];
  /** Null if the user may not approve. */
  onApprove: ((delivery: Delivery) => void) | null;
}

/** The webhooks that a trigger received, the newest first. */
export function DeliveryTable({ deliveries, onApprove }: Props) {
  return (
    <ListTable columns={["Time", "Event", "Result", "Reason"]}>
      {deliveries.map((delivery) => (
        <tr key={delivery.id}>
          <th scope="row">{moment(delivery.time)}</th>
          <td>
            <Event delivery={delivery} />
          </td>
          <td>
            <Result
              delivery={delivery}
              onApprove={onApprove === null ? null : () => onApprove(delivery)}
            />
          </td>
          <td className={styles.wide}>{delivery.reason}</td>
        </tr>
      ))}
    </ListTable>
  );
}

function Event({ delivery: { event } }: { delivery: Delivery }) {
  return (
    <>
      {EVENTS[event.kind]} {event.number === "" ? null : `#${event.number} `}
      <span className="mono">{event.branch}</span>
      {event.fork ? (
        <div className="muted">
          {event.user === "" ? "from a fork" : `from a fork, by ${event.user}`}
        </div>
      ) : null}
    </>
  );
}

interface ResultProps {
  delivery: Delivery;
  onApprove: (() => void) | null;
}

function Result({ delivery, onApprove }: ResultProps) {
  const { result, pipeline, section, event } = delivery;
  if (result === "waiting for approval" && onApprove !== null) {
    return (
      <Button aria-label={`Approve ${event.branch}`} onClick={onApprove}>
        Approve
      </Button>
    );
  }
  return (
    <>
      <span className={result === "failed" ? "state-error" : undefined}>{RESULTS[result]}</span>{" "}
      {pipeline === null ? null : <PipelineLink id={pipeline} />}
      {section === null ? null : <div className="muted mono">[{section}]</div>}
    </>
  );
}
