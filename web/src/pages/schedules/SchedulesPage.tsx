import { useQuery } from "@tanstack/react-query";

import type { ScheduleView } from "@/api/schema";
import { schedulesApi } from "@/api/schedules";
import { Code } from "@/components/Code";
import { EmptyState } from "@/components/EmptyState";
import { PageStatus } from "@/components/PageStatus";
import { QueryPlaceholder } from "@/components/QueryPlaceholder";
import { useTitle } from "@/components/useTitle";
import { followLink, setQuery, useLocation } from "@/lib/location";
import { moment } from "@/lib/time";
import styles from "@/pages/organisation/Table.module.css";
import { CreateDialog } from "@/pages/schedules/CreateDialog";
import { LastFiring } from "@/pages/schedules/FiringTable";
import { scheduleUrl, Source, When } from "@/pages/schedules/ScheduleTexts";
import { SCHEDULES } from "@/strings/schedules";

const REFRESH_MS = 5000;

/** All schedules; with `pipeline` in the query, also the form that schedules it. */
export function SchedulesPage() {
  const pipeline = useLocation().query.get("pipeline");
  const list = useQuery({
    queryKey: ["schedules"],
    queryFn: ({ signal }) => schedulesApi.list(signal),
    refetchInterval: REFRESH_MS,
  });
  useTitle(SCHEDULES.title);
  const schedules = list.data?.schedules;
  return (
    <PageStatus error={list.error}>
      <div className="page">
        <div className="page-head">
          <h1>{SCHEDULES.title}</h1>
        </div>
        <p className="muted">{SCHEDULES.help}</p>
        {schedules === undefined ? (
          <QueryPlaceholder query={list} rows={4} />
        ) : schedules.length === 0 ? (
          <EmptyState title={SCHEDULES.none}>
            <p className="muted">{SCHEDULES.noneHelp}</p>
            <Code text={SCHEDULES.noneCommand} label={SCHEDULES.create} />
          </EmptyState>
        ) : (
          <Table schedules={schedules} />
        )}
      </div>
      {pipeline === null ? null : (
        <CreateDialog
          pipeline={pipeline}
          known={schedules?.map(({ schedule }) => schedule.name) ?? []}
          onClose={() => setQuery({ pipeline: null }, true)}
        />
      )}
    </PageStatus>
  );
}

function Table({ schedules }: { schedules: readonly ScheduleView[] }) {
  return (
    <div className={`card ${styles.card}`}>
      <table className={`list ${styles.stack}`}>
        <thead>
          <tr>
            <th scope="col">{SCHEDULES.name}</th>
            <th scope="col">{SCHEDULES.when}</th>
            <th scope="col">{SCHEDULES.next}</th>
            <th scope="col">{SCHEDULES.last}</th>
            <th scope="col">{SCHEDULES.launches}</th>
          </tr>
        </thead>
        <tbody>
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
              <td data-label={SCHEDULES.next}>
                {schedule.paused ? (
                  <span className="state-warning">{SCHEDULES.paused}</span>
                ) : times[0] === undefined ? null : (
                  moment(times[0])
                )}
              </td>
              <td {...(last === null ? {} : { "data-label": SCHEDULES.last })}>
                {last === null ? null : <LastFiring firing={last} />}
              </td>
              <td className={styles.wide} data-label={SCHEDULES.launches}>
                <Source schedule={schedule} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
