import "@/pages/parts/parts.css";

import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";

import { api, messageOf, OfflineError } from "@/api/client";
import type { AgentStatus, PipelineSummary } from "@/api/schema";
import { followLink, pipelineUrl } from "@/app/location";
import { bytes, duration, moment, plural } from "@/lib/time";
import { PageStand } from "@/pages/parts/PageStand";
import { CopyButton } from "@/ui/CopyButton";
import { CountsText } from "@/ui/Counts";
import { Failure } from "@/ui/Empty";
import { StateLabel } from "@/ui/StateMark";
import { useNow } from "@/ui/useNow";

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
  const gone = status.error instanceof OfflineError;
  return (
    <PageStand error={status.error}>
      <div className="page">
        <h1>Agent</h1>
        {status.data === undefined ? (
          status.error === null ? (
            <p className="muted">Loading…</p>
          ) : (
            <Failure message={messageOf(status.error)} onRetry={() => void status.refetch()} />
          )
        ) : (
          <Facts status={status.data} gone={gone} />
        )}
        <AtWork pipelines={running.data?.pipelines ?? []} />
        <Commands />
      </div>
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

/** Pipelines in which something runs or will start by itself. */
function AtWork({ pipelines }: { pipelines: readonly PipelineSummary[] }) {
  const busy = pipelines.filter((one) => !one.settled);
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
