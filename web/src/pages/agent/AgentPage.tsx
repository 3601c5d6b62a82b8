import "@/components/pages.css";

import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";

import { api, messageOf, OfflineError } from "@/api/client";
import type { AgentStatus, PipelineSummary } from "@/api/schema";
import { Button } from "@/components/Button";
import { CopyButton } from "@/components/CopyButton";
import { CountsText } from "@/components/Counts";
import { Failure } from "@/components/Empty";
import { Loading } from "@/components/Loading";
import { PageStand } from "@/components/PageStand";
import { StateLabel } from "@/components/StateMark";
import { useNow } from "@/components/useNow";
import { followLink, pipelineUrl } from "@/lib/location";
import { bytes, duration, moment, plural } from "@/lib/time";
import { CollectDialog } from "@/pages/agent/CollectDialog";
import { StopDialog } from "@/pages/agent/StopDialog";

const REFRESH_MS = 2000;
const MOST = 200;

/** The agent on this machine: how it is, its engine, and what it works on. */
export function AgentPage() {
  const status = useQuery({
    queryKey: ["agent"],
    queryFn: ({ signal }) => api.agent(signal),
    refetchInterval: REFRESH_MS,
  });
  const running = useQuery({
    queryKey: ["agent-pipelines"],
    queryFn: ({ signal }) => api.pipelines({ lifecycle: "active", limit: MOST }, signal),
    refetchInterval: REFRESH_MS,
  });
  useEffect(() => {
    document.title = "Agent · Conducto";
  }, []);
  const [opened, setOpened] = useState<"stop" | "collect" | null>(null);
  const gone = status.error instanceof OfflineError;
  const busy = (running.data?.pipelines ?? []).filter((one) => !one.settled);
  const close = () => setOpened(null);
  return (
    <PageStand error={status.error} known={status.data !== undefined}>
      <div className="page">
        <div className="page-head">
          <h1>Agent</h1>
          <span className="page-grow" />
          {status.data?.socket === null ? (
            <>
              <Button disabled={gone} onClick={() => setOpened("collect")}>
                Free what nobody needs
              </Button>
              <Button look="danger" disabled={gone} onClick={() => setOpened("stop")}>
                Stop
              </Button>
            </>
          ) : null}
        </div>
        {status.data !== undefined ? (
          <Facts status={status.data} gone={gone} />
        ) : status.error === null ? (
          <div className="card agent-loading">
            <Loading rows={9} />
          </div>
        ) : (
          <Failure message={messageOf(status.error)} onRetry={() => void status.refetch()} />
        )}
        {running.data === undefined ? null : <AtWork busy={busy} />}
        <Commands />
      </div>
      {opened === "collect" ? <CollectDialog onClose={close} /> : null}
      {opened === "stop" ? (
        <StopDialog
          running={busy.reduce((sum, one) => sum + one.counts.running, 0)}
          onClose={close}
        />
      ) : null}
    </PageStand>
  );
}

function Facts({ status, gone }: { status: AgentStatus; gone: boolean }) {
  const now = useNow(!gone);
  const rows: [string, string][] = [
    ["Version", status.version],
    ["Listens at", status.url],
    ["Process", String(status.pid)],
    [
      "Started",
      `${moment(status.started)}${gone ? "" : `, ${duration(now - status.started)} ago`}`,
    ],
    ["Its own memory", status.memory === null ? "not known" : bytes(status.memory)],
    ["Engine", status.engine ?? "none was needed so far"],
    ["Commands may use", room(status)],
    ["Pipelines kept", status.pipelines.toLocaleString("en")],
    ["Free on its disk", disk(status)],
  ];
  return (
    <section aria-label="Status" className="card agent-card">
      <p className="agent-state" role="status">
        {gone ? (
          <span className="state-error">It does not answer; this is what it said last</span>
        ) : (
          <span className="state-done">It answers</span>
        )}
      </p>
      <dl className="agent-facts">
        {rows.map(([what, value]) => (
          <div key={what}>
            <dt>{what}</dt>
            <dd className="number">{value}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function room({ cpus, mem }: AgentStatus): string {
  if (cpus === null || mem === null) return "not known before an engine is needed";
  return `${plural(cpus, "CPU")}, ${mem.toLocaleString("en", { maximumFractionDigits: 1 })} GB`;
}

function disk({ disk_free: free, disk_total: total }: AgentStatus): string {
  if (free === null || total === null) return "not known";
  return `${bytes(free)} of ${bytes(total)}`;
}

/** Pipelines in which something runs or will start by itself. */
function AtWork({ busy }: { busy: readonly PipelineSummary[] }) {
  return (
    <section>
      <h2 className="agent-title">At work</h2>
      {busy.length === 0 ? (
        <p className="muted">Nothing runs, and nothing will start by itself.</p>
      ) : (
        <ul className="card">
          {busy.map(({ pipeline, state, counts }) => (
            <li key={pipeline.id} className="agent-row">
              <StateLabel mark={state} />
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
  ["conducto agent status", "the same, in a terminal"],
  ["conducto agent start", "start it"],
  ["conducto agent stop", "stop it"],
  ["conducto gc", "free what no live pipeline needs: containers, images, files"],
];

function Commands() {
  return (
    <section>
      <h2 className="agent-title">In a terminal</h2>
      <ul className="card">
        {COMMANDS.map(([command, what]) => (
          <li key={command} className="agent-row">
            <code>{command}</code>
            <span className="muted">{what}</span>
            <span className="page-grow" />
            <CopyButton text={command} label={`Copy ${command}`} />
          </li>
        ))}
      </ul>
    </section>
  );
}
