import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { messageOf } from "@/api/client";
import type { ScheduleView } from "@/api/schema";
import { schedulesApi } from "@/schedules/api/schedules";
import { Button } from "@/components/Button";
import { EmptyState } from "@/components/EmptyState";
import { Page } from "@/components/Page";
import { QueryPlaceholder } from "@/components/QueryPlaceholder";
import { RequestDialog } from "@/components/RequestDialog";
import { toast } from "@/components/toasts";
import { StaleBadge } from "@/components/StaleBadge";
import { followLink, navigate, type PageProps } from "@/lib/location";
import { moment } from "@/lib/time";
import styles from "@/people/Table.module.css";
import { FiringTable, STATES } from "@/schedules/FiringTable";
import { Source, When } from "@/schedules/ScheduleTexts";

const REFRESH_MS = 5000;
const PAGE = 50;

/** One schedule: its next times, and its firings with the reasons of those that were skipped. */
export function SchedulePage({ params }: PageProps) {
  const name = params.name ?? "";
  const [limit, setLimit] = useState(PAGE);
  const view = useQuery({
    queryKey: ["schedule", name],
    queryFn: ({ signal }) => schedulesApi.find(name, signal),
    refetchInterval: REFRESH_MS,
  });
  const history = useQuery({
    queryKey: ["firings", name, limit],
    queryFn: ({ signal }) => schedulesApi.firings(name, limit, signal),
    refetchInterval: REFRESH_MS,
  });
  const firings = history.data?.firings;
  return (
    <Page
      title={name}
      error={view.error}
      polled={[view, REFRESH_MS]}
      actions={view.data === undefined ? null : <Actions name={name} view={view.data} />}
    >
      <a href="/schedules" onClick={followLink}>
        All schedules
      </a>
      {view.data === undefined ? (
        <QueryPlaceholder query={view} rows={3} />
      ) : (
        <Facts view={view.data} />
      )}
      {firings === undefined && view.data === undefined ? null : (
        <section className={styles.section}>
          <h2>
            Firings <StaleBadge query={history} every={REFRESH_MS} />
          </h2>
          {firings === undefined ? null : firings.length === 0 ? (
            <EmptyState
              icon="clock"
              title="It has not fired yet"
              text="Each launch appears here with its pipeline, and each time that was skipped with the reason. To launch it now:"
              example={`conducto schedule fire ${name}`}
              docs="schedules"
            />
          ) : (
            <FiringTable name={name} firings={firings} />
          )}
          {history.data?.more === true ? (
            <Button onClick={() => setLimit(Math.min(1000, limit + PAGE))}>
              Show older firings
            </Button>
          ) : null}
        </section>
      )}
    </Page>
  );
}

function Facts({ view: { schedule, times } }: { view: ScheduleView }) {
  return (
    <>
      <dl className={styles.facts}>
        <div>
          <dt>When</dt>
          <dd>
            <When schedule={schedule} />
          </dd>
        </div>
        <div>
          <dt>Launches</dt>
          <dd>
            <Source schedule={schedule} />
          </dd>
        </div>
      </dl>
      {schedule.paused ? (
        <p className="state-warning">
          Paused
          {schedule.paused_why === null ? null : `: ${schedule.paused_why}`}
        </p>
      ) : times.length === 0 ? null : (
        <section className={styles.section}>
          <h2>Next five times</h2>
          <ol>
            {times.map((time) => (
              <li key={time}>{moment(time)}</li>
            ))}
          </ol>
        </section>
      )}
    </>
  );
}

function Actions({ name, view }: { name: string; view: ScheduleView }) {
  const client = useQueryClient();
  const [deleting, setDeleting] = useState(false);
  const onError = (error: Error) => toast(messageOf(error), "error");
  const onSettled = () => {
    void client.invalidateQueries({ queryKey: ["schedule", name] });
    void client.invalidateQueries({ queryKey: ["firings", name] });
  };
  const { paused } = view.schedule;
  const toggle = useMutation({
    mutationFn: () => (paused ? schedulesApi.resume(name) : schedulesApi.pause(name)),
    onError,
    onSettled,
  });
  const fire = useMutation({
    mutationFn: () => schedulesApi.fire(name),
    onSuccess: ({ pipeline, why, state }) =>
      pipeline === null
        ? toast(why ?? STATES[state], state === "failed" ? "error" : undefined)
        : toast(`Launched ${pipeline}`),
    onError,
    onSettled,
  });
  return (
    <>
      <Button onClick={() => fire.mutate()} disabled={fire.isPending}>
        Fire now
      </Button>
      <Button onClick={() => toggle.mutate()} disabled={toggle.isPending}>
        {paused ? "Resume" : "Pause"}
      </Button>
      <Button variant="quiet" className="button-danger" onClick={() => setDeleting(true)}>
        Delete
      </Button>
      {deleting ? (
        <RequestDialog
          danger
          title={`Delete the schedule ${name}?`}
          action="Delete"
          request={() => schedulesApi.remove(name)}
          onDone={() => navigate("/schedules")}
          onClose={() => setDeleting(false)}
        >
          <p>Its history is deleted, its pipelines are kept.</p>
        </RequestDialog>
      ) : null}
    </>
  );
}
