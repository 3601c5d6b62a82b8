import { useQuery } from "@tanstack/react-query";

import { api } from "@/api/client";
import type { Activity, RunningCommand, WaitGroup } from "@/api/schema";
import { EmptyState } from "@/components/EmptyState";
import { Page } from "@/components/Page";
import { QueryPlaceholder } from "@/components/QueryPlaceholder";
import { StateIcon } from "@/components/StateIcon";
import { useNow } from "@/components/useNow";
import { followLink, pipelineUrl } from "@/lib/location";
import { duration, plural } from "@/lib/time";
import { visible } from "@/lib/visible";
import styles from "@/activity/Activity.module.css";

const REFRESH_MS = 3000;

/** The running and the waiting commands of all pipelines. */
export function ActivityPage() {
  const query = useQuery({
    queryKey: ["activity"],
    queryFn: ({ signal }) => api.activity(signal),
    refetchInterval: REFRESH_MS,
    placeholderData: (before) => before,
  });
  const { data } = query;
  return (
    <Page title="Activity" error={query.error} polled={[query, REFRESH_MS]}>
      {data === undefined ? (
        <QueryPlaceholder query={query} rows={8} />
      ) : data.pipelines === 0 ? (
        <EmptyState title="Nothing runs and nothing waits">
          <p className="muted">Commands of every pipeline appear here while they run or wait.</p>
        </EmptyState>
      ) : (
        <Now activity={data} />
      )}
    </Page>
  );
}

function Now({ activity }: { activity: Activity }) {
  const { running, queued, pending, commands, waits, read } = activity;
  const left = queued - read;
  return (
    <>
      <p className={styles.headline}>
        <b>{`${plural(running, "command")} ${running === 1 ? "runs" : "run"}, ${queued.toLocaleString("en")} ${queued === 1 ? "waits" : "wait"}.`}</b>{" "}
        <span className="muted">
          {`${plural(activity.pipelines, "pipeline")} in progress`}
          {pending === 0 ? "" : `, ${plural(pending, "command")} later`}
          {activity.complete ? "" : "; the reasons of the newest 50 pipelines are shown"}
        </span>
      </p>
      <Capacity activity={activity} />
      <section aria-labelledby="running" className={styles.section}>
        <h2 id="running">Running</h2>
        {commands.length === 0 ? (
          <p className="muted">No command runs.</p>
        ) : (
          <div className="card">
            {commands.map((command) => (
              <Running key={`${command.pipeline} ${command.path}`} command={command} />
            ))}
            {running > commands.length ? (
              <p
                className={styles.more}
              >{`${(running - commands.length).toLocaleString("en")} more, which started later`}</p>
            ) : null}
          </div>
        )}
      </section>
      <section aria-labelledby="waiting" className={styles.section}>
        <h2 id="waiting">Waiting</h2>
        {waits.length === 0 ? (
          <p className="muted">No command waits.</p>
        ) : (
          <div className="card">
            {waits.map((group) => (
              <Wait key={`${group.kind ?? ""} ${group.holder ?? ""} ${group.text}`} group={group} />
            ))}
            {left > 0 ? (
              <p
                className={styles.more}
              >{`${left.toLocaleString("en")} more were not read; they wait behind these`}</p>
            ) : null}
          </div>
        )}
      </section>
    </>
  );
}

/** The use of this machine, or of workers. */
function Capacity({ activity }: { activity: Activity }) {
  const { cpu, cpu_used: used, workers, workers_idle: idle } = activity;
  return (
    <dl className={styles.tiles}>
      {cpu === null || used === null ? null : (
        <div>
          <dt>CPU of this machine</dt>
          <dd className="number">
            <b>{used.toLocaleString("en", { maximumFractionDigits: 1 })}</b>
            {` of ${cpu.toLocaleString("en")}`}
          </dd>
          <svg className={styles.bar} viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden>
            <rect width="100" height="4" />
            <rect width={cpu === 0 ? 0 : Math.min(100, (used / cpu) * 100)} height="4" />
          </svg>
        </div>
      )}
      <div>
        <dt>{cpu === null ? "Workers" : "Containers"}</dt>
        <dd className="number">
          <b>{workers.toLocaleString("en")}</b>
          {` busy, ${idle.toLocaleString("en")} idle or starting`}
        </dd>
      </div>
    </dl>
  );
}

function Running({ command }: { command: RunningCommand }) {
  const now = useNow(true);
  const { pipeline, title, path, attempt, started, cpu, mem } = command;
  return (
    <div className={styles.row}>
      <StateIcon state="running" label />
      <span className={styles.text}>
        <a href={pipelineUrl(pipeline, path)} onClick={followLink} className="clip">
          {visible(path)}
        </a>
        <span className={styles.detail}>
          {visible(title)} <span className="mono">{pipeline}</span>
          {attempt > 1 ? `, attempt ${attempt}` : ""}
        </span>
      </span>
      <span className={`${styles.size} muted number`}>
        {[cpu === null ? "" : `${cpu} CPU`, mem === null ? "" : `${mem} GB`]
          .filter(Boolean)
          .join(", ")}
      </span>
      <span className={`${styles.time} number`}>{duration(Math.max(0, now - started))}</span>
    </div>
  );
}

function Wait({ group }: { group: WaitGroup }) {
  const now = useNow(true);
  const { kind, text, remedy, since, count, first } = group;
  const isApproval = kind === "approval";
  return (
    <div className={`${styles.row} ${isApproval ? styles.approval : ""}`}>
      <StateIcon state="queued" label />
      <span className={`${styles.count} number`}>{count.toLocaleString("en")}</span>
      <span className={styles.text}>
        {visible(text)}
        <span className={styles.detail}>
          {first.map(({ pipeline, path }, at) => (
            <span key={`${pipeline} ${path}`}>
              {at === 0 ? "" : ", "}
              <a href={pipelineUrl(pipeline, path)} onClick={followLink}>
                {visible(path)}
              </a>
            </span>
          ))}
          {count > first.length ? ` and ${(count - first.length).toLocaleString("en")} more` : ""}
        </span>
        {remedy === null ? null : <span className={styles.detail}>{visible(remedy)}</span>}
      </span>
      {since === null ? null : (
        <span className={`${styles.time} number`}>{duration(Math.max(0, now - since))}</span>
      )}
    </div>
  );
}
