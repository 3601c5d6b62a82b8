import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import type { ScheduleView } from "@/api/schema";
import { schedulesApi } from "@/schedules/api/schedules";
import { Button } from "@/components/Button";
import { EmptyState } from "@/components/EmptyState";
import { Page } from "@/components/Page";
import { QueryPlaceholder } from "@/components/QueryPlaceholder";
import { followLink, setQuery, useLocation } from "@/lib/location";
import { moment } from "@/lib/time";
import { ListTable } from "@/people/ListTable";
import styles from "@/people/Table.module.css";
import { CreateDialog } from "@/schedules/CreateDialog";
import { LastFiring } from "@/schedules/FiringTable";
import { scheduleUrl, Source, When } from "@/schedules/ScheduleTexts";

const REFRESH_MS = 5000;

/** All schedules; with `pipeline` in the query, also the form that schedules it. */
export function SchedulesPage() {
  const pipeline = useLocation().query.get("pipeline");
  const [adding, setAdding] = useState(false);
  const list = useQuery({
    queryKey: ["schedules"],
    queryFn: ({ signal }) => schedulesApi.list(signal),
    refetchInterval: REFRESH_MS,
  });
  const schedules = list.data?.schedules;
  const add = (
    <Button variant="main" onClick={() => setAdding(true)}>
      Add schedule
    </Button>
  );
  return (
    <Page
      title="Schedules"
      error={list.error}
      polled={[list, REFRESH_MS]}
      actions={schedules?.length === 0 ? null : add}
      dialog={
        pipeline === null && !adding ? null : (
          <CreateDialog
            pipeline={pipeline}
            known={schedules?.map(({ schedule }) => schedule.name) ?? []}
            onClose={() => {
              setAdding(false);
              setQuery({ pipeline: null }, true);
            }}
          />
        )
      }
    >
      <p className="muted">
        Launch pipelines at given times, when other pipelines end, or for events.
      </p>
      {schedules === undefined ? (
        <QueryPlaceholder query={list} rows={4} />
      ) : schedules.length === 0 ? (
        <EmptyState
          icon="clock"
          title="No schedules"
          text="A schedule launches a pipeline again and again, for example each night. It appears here with its next times and its last pipelines."
          example={'conducto schedule add nightly --cron "30 2 * * 1-5" --pipeline ID'}
          action={add}
          docs="schedules"
        />
      ) : (
        <ScheduleTable schedules={schedules} />
      )}
    </Page>
  );
}

/** Schedules, and triggers by events, with their last firings. */
export function ScheduleTable({ schedules }: { schedules: readonly ScheduleView[] }) {
  return (
    <ListTable columns={["Name", "When", "Next", "Last firing", "Launches"]}>
      {schedules.map(({ schedule, times, last }) => (
        <tr key={schedule.name}>
          <th scope="row">
            <a href={scheduleUrl(schedule.name)} onClick={followLink}>
              {schedule.name}
            </a>
          </th>
          <td className={styles.wide}>
            <When schedule={schedule} />
          </td>
          <td data-label="Next">
            {schedule.paused ? (
              <span className="state-warning">Paused</span>
            ) : times[0] === undefined ? null : (
              moment(times[0])
            )}
          </td>
          <td {...(last === null ? {} : { "data-label": "Last firing" })}>
            {last === null ? null : <LastFiring firing={last} />}
          </td>
          <td className={styles.wide} data-label="Launches">
            <Source schedule={schedule} />
          </td>
        </tr>
      ))}
    </ListTable>
  );
}
