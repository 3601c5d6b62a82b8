import type { Delivery } from "@/api/schema";
import { Button } from "@/components/Button";
import { moment } from "@/lib/time";
import { ListTable } from "@/people/ListTable";
import styles from "@/people/Table.module.css";
import { PipelineLink } from "@/schedules/ScheduleTexts";
import { TRIGGERS } from "@/triggers/texts/triggers";

interface Props {
  deliveries: readonly Delivery[];
  /** Null if the user may not approve. */
  onApprove: ((delivery: Delivery) => void) | null;
}

/** The webhooks that a trigger received, the newest first. */
export function DeliveryTable({ deliveries, onApprove }: Props) {
  return (
    <ListTable columns={[TRIGGERS.time, TRIGGERS.event, TRIGGERS.result, TRIGGERS.reason]}>
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
      {TRIGGERS.events[event.kind]} {event.number === "" ? null : `#${event.number} `}
      <span className="mono">{event.branch}</span>
      {event.fork ? (
        <div className="muted">
          {event.user === "" ? TRIGGERS.fork : TRIGGERS.forkBy(event.user)}
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
      <Button aria-label={TRIGGERS.approveLabel(event.branch)} onClick={onApprove}>
        {TRIGGERS.approve}
      </Button>
    );
  }
  return (
    <>
      <span className={result === "failed" ? "state-error" : undefined}>
        {TRIGGERS.results[result]}
      </span>{" "}
      {pipeline === null ? null : <PipelineLink id={pipeline} />}
      {section === null ? null : <div className="muted mono">[{section}]</div>}
    </>
  );
}
