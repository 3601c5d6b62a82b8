import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { messageOf } from "@/api/client";
import type { EventOrigin, Firing, FiringCause, FiringState } from "@/api/schema";
import { Button } from "@/components/Button";
import { Code } from "@/components/Code";
import { toast } from "@/components/toasts";
import { moment } from "@/lib/time";
import { ListTable } from "@/people/ListTable";
import styles from "@/people/Table.module.css";
import { schedulesApi } from "@/schedules/api/schedules";
import { PipelineLink } from "@/schedules/ScheduleTexts";

const CAUSES: Record<FiringCause, string> = {
  schedule: "on time",
  catch_up: "caught up",
  backfill: "backfill",
  manual: "by hand",
  chain: "after a pipeline",
  event: "event",
  replay: "replay",
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
export function FiringTable({ name, firings }: { name: string; firings: readonly Firing[] }) {
  return (
    <ListTable columns={["Due", "State", "Pipeline", "Cause", "Reason"]}>
      {firings.map((firing) => (
        <tr key={firing.id}>
          <th scope="row">{dueText(firing)}</th>
          <td data-label="State">
            <FiringState firing={firing} />
          </td>
          <td {...(firing.pipeline === null ? {} : { "data-label": "Pipeline" })}>
            {firing.pipeline === null ? null : <PipelineLink id={firing.pipeline} />}
          </td>
          <td className="muted" data-label="Cause">
            {CAUSES[firing.cause]}
          </td>
          <td className={styles.wide} {...(firing.why === null ? {} : { "data-label": "Reason" })}>
            {firing.why}
            {firing.event === null ? null : (
              <Payload name={name} firing={firing.id} event={firing.event} />
            )}
          </td>
        </tr>
      ))}
    </ListTable>
  );
}

/** The payload of an event, which is fetched when it is opened, and a button that repeats it. */
function Payload(props: { name: string; firing: string; event: EventOrigin }) {
  const { name, firing, event } = props;
  const client = useQueryClient();
  const [open, setOpen] = useState(false);
  const found = useQuery({
    queryKey: ["payload", name, firing],
    queryFn: ({ signal }) => schedulesApi.payload(name, firing, signal),
    enabled: open,
    retry: false,
  });
  const replay = useMutation({
    mutationFn: () => schedulesApi.replay(name, firing),
    onSuccess: ({ pipeline, why, state }) =>
      pipeline === null
        ? toast(why ?? STATES[state], state === "failed" ? "error" : undefined)
        : toast(`Launched ${pipeline}`),
    onError: (error: Error) => toast(messageOf(error), "error"),
    onSettled: () => client.invalidateQueries({ queryKey: ["firings", name] }),
  });
  const about = [event.type, event.source, event.id].filter((each) => each !== "").join(" · ");
  return (
    <details onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
      <summary>
        Payload
        {event.count > 1 ? ` of the last of ${event.count} events` : ""}
        {about === "" ? null : <span className="muted"> {about}</span>}
      </summary>
      {found.error === null ? null : <p className="state-error">{messageOf(found.error)}</p>}
      {found.data === undefined ? null : (
        <>
          <Code text={JSON.stringify(found.data.payload, null, 2)} label="Payload" />
          <Button onClick={() => replay.mutate()} disabled={replay.isPending}>
            Replay
          </Button>
        </>
      )}
    </details>
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
