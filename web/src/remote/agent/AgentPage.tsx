import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { api, OfflineError } from "@/api/client";
import type { AgentStatus, PipelineSummary } from "@/api/schema";
import { Button } from "@/components/Button";
import { CopyButton } from "@/components/CopyButton";
import { CountsText } from "@/components/Counts";
import { FactsList } from "@/components/Facts";
import { IN_ORDER, Pending } from "@/components/InOrder";
import { PageStatus } from "@/components/PageStatus";
import { QueryPlaceholder } from "@/components/QueryPlaceholder";
import { StateLabel } from "@/components/StateIcon";
import { useFirst } from "@/components/useFirst";
import { useNow } from "@/components/useNow";
import { StaleBadge } from "@/components/StaleBadge";
import { useTitle } from "@/components/useTitle";
import { followLink, pipelineUrl } from "@/lib/location";
import { bytes, duration, moment, plural } from "@/lib/time";
import styles from "@/remote/agent/AgentPage.module.css";
import { CollectDialog } from "@/remote/agent/CollectDialog";
import { agentApi } from "@/remote/api/agent";
import { KilledNote } from "@/components/ActionPreview";
import { RequestDialog } from "@/components/RequestDialog";
import { toast } from "@/components/toasts";

const REFRESH_MS = 2000;
const MAX_PIPELINES = 200;

/** The local agent: its status, engine and active pipelines. */
export function AgentPage() {
  const status = useQuery({
    queryKey: ["agent"],
    queryFn: ({ signal }) => api.agent(signal),
    refetchInterval: REFRESH_MS,
  });
  const running = useQuery({
    queryKey: ["agent-pipelines"],
    queryFn: ({ signal }) => api.pipelines({ lifecycle: "active", limit: MAX_PIPELINES }, signal),
    refetchInterval: REFRESH_MS,
  });
  useTitle("Agent");
  const first = useFirst(status.isLoading || running.isLoading);
  const [opened, setOpened] = useState<"stop" | "collect" | null>(null);
  const offline = status.error instanceof OfflineError;
  const active = (running.data?.pipelines ?? []).filter((one) => !one.settled);
  const close = () => setOpened(null);
  return (
    <PageStatus error={status.error}>
      <div className={`page ${IN_ORDER}`}>
        <div className="page-head">
          <h1>Agent</h1>
          <StaleBadge query={status} every={REFRESH_MS} />
          <span className="page-grow" />
          {status.data?.socket === null ? (
            <>
              <Button disabled={offline} onClick={() => setOpened("collect")}>
                Clean up
              </Button>
              <Button variant="danger" disabled={offline} onClick={() => setOpened("stop")}>
                Stop
              </Button>
            </>
          ) : null}
        </div>
        {status.data !== undefined ? (
          <Facts status={status.data} gone={offline} />
        ) : (
          <QueryPlaceholder query={status} rows={9} />
        )}
        {first ? <Pending /> : null}
        {running.data === undefined ? null : <ActivePipelines busy={active} />}
        <Commands />
      </div>
      {opened === "collect" ? <CollectDialog onClose={close} /> : null}
      {opened === "stop" ? (
        <StopDialog
          running={active.reduce((sum, one) => sum + one.counts.running, 0)}
          onClose={close}
        />
      ) : null}
    </PageStatus>
  );
}

function Facts({ status, gone }: { status: AgentStatus; gone: boolean }) {
  const now = useNow(!gone);
  const rows: [string, string][] = [
    ["Version", status.version],
    ["Address", status.url],
    ["Process ID", String(status.pid)],
    [
      "Started",
      `${moment(status.started)}${gone ? "" : `, ${duration(now - status.started)} ago`}`,
    ],
    ["Agent memory", status.memory === null ? "unknown" : bytes(status.memory)],
    ["Engine", status.engine ?? "not needed yet"],
    ["Available to commands", capacity(status)],
    ["Stored pipelines", status.pipelines.toLocaleString("en")],
    ["Free disk space", disk(status)],
  ];
  return (
    <section aria-label="Status" className={`card ${styles.card}`}>
      <p className={styles.state} role="status">
        {gone ? (
          <span className="state-error">Not responding. Showing the last known status.</span>
        ) : (
          <span className="state-done">Running</span>
        )}
      </p>
      <FactsList facts={rows} />
    </section>
  );
}

function capacity({ cpus, mem }: AgentStatus): string {
  if (cpus === null || mem === null) return "unknown until an engine is needed";
  return `${plural(cpus, "CPU")}, ${mem.toLocaleString("en", { maximumFractionDigits: 1 })} GB`;
}

function disk({ disk_free: free, disk_total: total }: AgentStatus): string {
  if (free === null || total === null) return "unknown";
  return `${bytes(free)} of ${bytes(total)}`;
}

/** Pipelines that are running or will start by themselves. */
function ActivePipelines({ busy }: { busy: readonly PipelineSummary[] }) {
  return (
    <section>
      <h2 className={styles.title}>Active pipelines</h2>
      {busy.length === 0 ? (
        <p className="muted">No active pipelines.</p>
      ) : (
        <ul className="card">
          {busy.map(({ pipeline, state, counts }) => (
            <li key={pipeline.id} className={styles.row}>
              <StateLabel state={state} />
              <a href={pipelineUrl(pipeline.id)} onClick={followLink} className="clip">
                {pipeline.title}
              </a>
              <code className="muted">{pipeline.id}</code>
              <span className="page-grow" />
              <CountsText counts={counts} />
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

const COMMANDS: readonly [string, string][] = [
  ["conducto agent status", "show this status"],
  ["conducto agent start", "start the agent"],
  ["conducto agent stop", "stop the agent"],
  ["conducto gc", "delete unneeded containers, images and files"],
];

function Commands() {
  return (
    <section>
      <h2 className={styles.title}>In a terminal</h2>
      <ul className="card">
        {COMMANDS.map(([command, what]) => (
          <li key={command} className={`${styles.row ?? ""} ${styles.command ?? ""}`}>
            <span className={styles.what}>
              <code>{command}</code>
              <span className="muted">{what}</span>
            </span>
            <CopyButton text={command} label={`Copy ${command}`} />
          </li>
        ))}
      </ul>
    </section>
  );
}

interface Props {
  /** Number of running commands in all pipelines. */
  running: number;
  onClose: () => void;
}

function StopDialog({ running, onClose }: Props) {
  return (
    <RequestDialog
      danger
      title="Stop the agent?"
      action="Stop the agent"
      request={agentApi.stop}
      onDone={({ pid }) => {
        toast(`Stopping the agent (process ${pid})`);
        onClose();
      }}
      onClose={onClose}
    >
      {running === 0 ? <p>No commands are running.</p> : <KilledNote count={running} />}
      <p>
        Containers are removed; pipelines, output and data are kept. The agent serves this page,
        which reconnects when the next command, such as <code>conducto list</code>, starts the
        agent. Pipelines that are not paused then continue.
      </p>
    </RequestDialog>
  );
}
