import { useMutation, useQueries, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { type ActionRequest, api, failureOf } from "@/api/client";
import type { Activity, WaitGroup, WaitingCommand } from "@/api/schema";
import styles from "@/activity/Activity.module.css";
import {
  barLength,
  isRunFound,
  isWaitFound,
  nextStart,
  overrun,
  rowsOf,
  type Run,
  USUAL_AT,
  type UsualOf,
} from "@/activity/model/rows";
import { useRowKeys } from "@/activity/useRowKeys";
import { Button } from "@/components/Button";
import { ConfirmDialog } from "@/components/ConfirmDialog";
import { IN_CLOUD } from "@/api/deployment";
import { EmptyState } from "@/components/EmptyState";
import { Page } from "@/components/Page";
import { QueryPlaceholder } from "@/components/QueryPlaceholder";
import { SearchField } from "@/components/SearchField";
import { StateIcon } from "@/components/StateIcon";
import { toast } from "@/components/toasts";
import { useNow } from "@/components/useNow";
import { plainText } from "@/lib/ansi";
import { followLink, pipelineUrl } from "@/lib/location";
import { duration, moment, plural } from "@/lib/time";
import { visible } from "@/lib/visible";
import { usualQuery } from "@/run/live/useUsual";
import { nodeLabel } from "@/run/model/shortPath";
import { isLong } from "@/run/model/usual";
import { schedulesApi } from "@/schedules/api/schedules";

const REFRESH_MS = 3000;
const NONE_MATCHES = "None matches the search.";
/** Pipelines whose usual times are read. */
const MAX_USUAL = 10;

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
        <Nothing />
      ) : (
        <Now activity={data} />
      )}
    </Page>
  );
}

function Nothing() {
  const schedules = useQuery({
    queryKey: ["schedules"],
    queryFn: ({ signal }) => schedulesApi.list(signal),
  });
  const due = (schedules.data?.schedules ?? [])
    .flatMap(({ schedule, times: [next] }) =>
      next === undefined ? [] : [{ name: schedule.name, next }],
    )
    .toSorted((a, b) => a.next - b.next)[0];
  return (
    <EmptyState
      icon="activity"
      title="Nothing runs and nothing waits"
      text={`Commands of every pipeline appear here while they run or wait, with the reason.${
        due === undefined
          ? ""
          : ` The next schedule, ${visible(due.name)}, starts ${moment(due.next)}.`
      }`}
      example={`python pipeline.py ${IN_CLOUD ? "--cloud" : "--local"} --run`}
      action={
        <a className="button button-plain" href="/schedules" onClick={followLink}>
          Schedules
        </a>
      }
      docs="web"
    />
  );
}

function Now({ activity }: { activity: Activity }) {
  const { running, queued, pending, commands, waits, read } = activity;
  const now = useNow(true);
  const runs = rowsOf(commands, useUsualOf(activity), now);
  const left = queued - read;
  const [text, setText] = useState("");
  useRowKeys();
  const shown = runs.filter((run) => isRunFound(run, text));
  const shownWaits = waits.filter((group) => isWaitFound(group, text));
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
      {runs.length + waits.length === 0 ? null : (
        <div className={styles.search}>
          <SearchField
            label="Search commands"
            placeholder="Path, pipeline or reason"
            text={text}
            onChange={setText}
          />
        </div>
      )}
      <section aria-labelledby="running" className={styles.section}>
        <h2 id="running">Running</h2>
        {shown.length === 0 ? (
          <p className="muted">{runs.length === 0 ? "No command runs." : NONE_MATCHES}</p>
        ) : (
          <div className="card">
            {shown.map((run) => (
              <Running key={`${run.command.pipeline} ${run.command.path}`} run={run} />
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
        {shownWaits.length === 0 ? (
          <p className="muted">{waits.length === 0 ? "No command waits." : NONE_MATCHES}</p>
        ) : (
          <div className="card">
            {shownWaits.map((group) => (
              <Wait
                key={`${group.kind ?? ""} ${group.holder ?? ""} ${group.text}`}
                group={group}
                next={nextStart(group, runs)}
              />
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

/** The usual times of the commands of the first pipelines that run some. */
function useUsualOf({ commands }: Activity): UsualOf {
  const ids = [...new Set(commands.map(({ pipeline }) => pipeline))].slice(0, MAX_USUAL);
  const pipelines = useQueries({
    queries: ids.map((id) => ({
      queryKey: ["pipeline-record", id],
      queryFn: ({ signal }: { signal: AbortSignal }) => api.pipeline(id, signal),
      staleTime: Infinity,
    })),
  });
  const usual = useQueries({
    queries: ids.map((id, at) => ({
      ...usualQuery(pipelines[at]?.data?.pipeline),
      queryKey: ["usual", id],
      enabled: pipelines[at]?.data !== undefined,
    })),
  });
  return new Map(ids.flatMap((id, at) => (usual[at]?.data ? [[id, usual[at].data.of]] : [])));
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
          <Bar length={cpu === 0 ? 0 : Math.min(1, used / cpu)} />
        </div>
      )}
      <div>
        <dt>{cpu === null ? "Workers" : "Containers"}</dt>
        <dd className="number">
          <b>{workers.toLocaleString("en")}</b>
          {` busy, ${idle.toLocaleString("en")} idle or starting`}
        </dd>
        <Bar length={workers === 0 ? 0 : workers / (workers + idle)} />
      </div>
    </dl>
  );
}

/** A bar, with a line at the usual time. */
function Bar({
  length,
  isLate = false,
  mark,
}: {
  length: number;
  isLate?: boolean;
  mark?: number;
}) {
  return (
    <svg className={styles.bar} viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden>
      <rect width="100" height="4" />
      <rect className={isLate ? styles.late : ""} width={length * 100} height="4" />
      {mark === undefined ? null : (
        <rect className={styles.mark} x={mark * 100} width="0.8" height="4" />
      )}
    </svg>
  );
}

function Running({ run }: { run: Run }) {
  const { pipeline, title, path, attempt, cpu, mem, last_line: line } = run.command;
  const { took, usual } = run;
  const [isKilling, setKilling] = useState(false);
  const isLate = isLong(took, { usual, slow: null });
  const kill = useControl(pipeline, () => setKilling(false));
  return (
    <div className={styles.row} data-row>
      <StateIcon state="running" label />
      <span className={styles.text}>
        <a href={pipelineUrl(pipeline, path)} onClick={followLink} className="clip">
          {visible(nodeLabel(path))}
        </a>
        <span className={styles.detail}>
          {visible(title)} <span className="mono">{pipeline}</span>
          {attempt > 1 ? `, attempt ${attempt}` : ""}
          {cpu === null ? "" : `, ${cpu} CPU`}
          {mem === null ? "" : `, ${mem} GB`}
        </span>
        {line === null ? null : (
          <code className={`${styles.line} clip`}>{visible(plainText(line))}</code>
        )}
      </span>
      <span className={`${styles.time} number`}>
        {usual === null ? null : (
          <Bar length={barLength(run)} isLate={overrun(run) > 0} mark={USUAL_AT} />
        )}
        <span className={isLate ? styles.long : ""}>{duration(took)}</span>
        {usual === null ? null : (
          <span className={styles.usually}>{`usually ${duration(usual)}`}</span>
        )}
      </span>
      <span className={styles.actions}>
        <Button
          variant="danger"
          data-kill
          aria-label={`Kill ${visible(path)} of ${pipeline}`}
          onClick={() => setKilling(true)}
        >
          Kill
        </Button>
      </span>
      {isKilling ? (
        <ConfirmDialog
          title={`Kill ${visible(path)}?`}
          action="Kill"
          danger
          disabled={kill.isPending}
          onConfirm={() => kill.mutate({ action: "kill", paths: [path] })}
          onClose={() => setKilling(false)}
        >
          <p>{`It has run for ${duration(took)} in ${visible(title)} (${pipeline}).`}</p>
        </ConfirmDialog>
      ) : null}
    </div>
  );
}

/** An action on a pipeline, after which the page is read again. */
function useControl(pipeline: string, onDone?: () => void) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (request: ActionRequest) => api.control(pipeline, request),
    onError: (error) => toast(failureOf(error)),
    onSettled: () => {
      onDone?.();
      return client.invalidateQueries({ queryKey: ["activity"] });
    },
  });
}

function countdown(until: number, now: number): string {
  return until > now ? `in ${duration(until - now)}` : "soon";
}

function Wait({ group, next }: { group: WaitGroup; next: number | null }) {
  const now = useNow(true);
  const { kind, text, remedy, since, until, count, first } = group;
  const isApproval = kind === "approval";
  const isRetry = kind === "retry";
  const times = [
    ...(until === null ? [] : [`${isRetry ? "retry " : ""}${countdown(until, now)}`]),
    ...(next === null ? [] : [`next in about ${duration(next)}`]),
    ...(since === null ? [] : [`since ${duration(Math.max(0, now - since))}`]),
  ];
  return (
    <div className={`${styles.row} ${isApproval ? styles.approval : ""}`} data-row>
      <StateIcon state={isApproval ? "approval" : isRetry ? "pending" : "queued"} label />
      <span className={`${styles.count} number`}>{count.toLocaleString("en")}</span>
      <span className={styles.text}>
        {visible(text)}
        <span className={styles.detail}>
          {first.map(({ pipeline, path, until: due }, at) => (
            <span key={`${pipeline} ${path}`}>
              {at === 0 ? "" : ", "}
              <a href={pipelineUrl(pipeline, path)} onClick={followLink}>
                {visible(nodeLabel(path))}
              </a>
              {isRetry && count > 1 && due !== null ? ` ${countdown(due, now)}` : ""}
            </span>
          ))}
          {count > first.length ? ` and ${(count - first.length).toLocaleString("en")} more` : ""}
        </span>
        {remedy === null || isApproval || isRetry ? null : (
          <span className={styles.detail}>{visible(remedy)}</span>
        )}
      </span>
      <span className={`${styles.time} ${styles.waits ?? ""} number`}>
        {times.map((each, at) => (
          <span key={at} className={at === 0 ? "" : styles.usually}>
            {each}
          </span>
        ))}
      </span>
      <span className={styles.actions}>
        <Remedy group={group} />
      </span>
    </div>
  );
}

/** Starts the next attempts of the named commands at once. */
function RetryNow({ first }: WaitGroup) {
  const retry = useControl(first[0]?.pipeline ?? "");
  return (
    <Button
      aria-label={`Retry ${first.map(({ path }) => visible(path)).join(", ")} now`}
      disabled={retry.isPending}
      onClick={() => retry.mutate({ action: "rerun", paths: first.map(({ path }) => path) })}
    >
      Retry now
    </Button>
  );
}

/** Approves in place, if nothing else is asked for and the user may decide. */
function Approve({ pipeline, path }: Pick<WaitingCommand, "pipeline" | "path">) {
  const client = useQueryClient();
  const [isAsking, setAsking] = useState(false);
  const asked = useQuery({
    queryKey: ["approvals"],
    queryFn: ({ signal }) => api.approvals(signal),
  }).data?.find((each) => each.pipeline === pipeline && each.approval.path === path)?.approval;
  const decide = useMutation({
    mutationFn: () =>
      api.decideApproval(pipeline, { path, approve: true, attempt: asked?.attempt ?? null }),
    onSuccess: () => setAsking(false),
    onSettled: () => client.invalidateQueries(),
  });
  if (asked === undefined || asked.fields > 0) return null;
  return (
    <>
      <Button
        variant="approve"
        aria-label={`Approve ${visible(path)} of ${pipeline}`}
        onClick={() => setAsking(true)}
      >
        Approve
      </Button>
      {isAsking ? (
        <ConfirmDialog
          title={visible(asked.message)}
          action="Approve"
          disabled={decide.isPending}
          error={decide.error}
          onConfirm={() => decide.mutate()}
          onClose={() => setAsking(false)}
        >
          <p>{`${visible(path)} of ${pipeline} is approved in your name, without a comment.`}</p>
        </ConfirmDialog>
      ) : null}
    </>
  );
}

/** The page on which a wait can be ended, or that shows what it waits for. */
function Remedy({ group }: { group: WaitGroup }) {
  const { kind, holder, first } = group;
  const one = first[0];
  if (one === undefined) return null;
  const link = (label: string, url: string, look = "plain") => (
    <a
      className={`button button-${look}`}
      data-approval={kind === "approval" || undefined}
      href={url}
      onClick={followLink}
    >
      {label}
    </a>
  );
  const isNode = holder?.startsWith("/") === true;
  switch (kind) {
    case "approval":
      return (
        <>
          {link("Review", pipelineUrl(one.pipeline, one.path))}
          <Approve pipeline={one.pipeline} path={one.path} />
        </>
      );
    case "retry":
      return <RetryNow {...group} />;
    case "image":
      return link("Build log", `${pipelineUrl(one.pipeline)}/images`);
    case "plan":
    case "spend_limit":
      return link("Open plan", "/organisation/plan");
    case "budget":
      return link("Open budget", pipelineUrl(one.pipeline, holder ?? one.path));
    default:
      return isNode ? link("Open group", pipelineUrl(one.pipeline, holder)) : null;
  }
}
