import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { agentsApi } from "@/api/agents";
import type { LinkedAgent } from "@/api/schema";
import { Button } from "@/components/Button";
import { Command } from "@/components/Command";
import { ConfirmDialog } from "@/components/ConfirmDialog";
import { EmptyState } from "@/components/EmptyState";
import { PageStatus } from "@/components/PageStatus";
import { QueryPlaceholder } from "@/components/QueryPlaceholder";
import { toast } from "@/components/toasts";
import { useNow } from "@/components/useNow";
import { useTitle } from "@/components/useTitle";
import { formatDateTitle } from "@/lib/formatDate";
import { ago } from "@/lib/time";
import own from "@/pages/agents/Agents.module.css";
import styles from "@/pages/organisation/Table.module.css";
import { useWho } from "@/pages/organisation/useWho";
import { AGENTS, LINK_COMMAND, START_COMMAND, UNLINK_COMMAND } from "@/strings/agents";

const KEY = ["linked-agents"] as const;
const REFRESH_MS = 15_000;

/** The machines that are linked to the organisation. */
export function AgentsPage() {
  const client = useQueryClient();
  const who = useWho();
  const [forgotten, setForgotten] = useState<LinkedAgent | null>(null);
  const list = useQuery({
    queryKey: KEY,
    queryFn: ({ signal }) => agentsApi.list(signal),
    refetchInterval: REFRESH_MS,
  });
  useTitle(AGENTS.title);
  return (
    <PageStatus error={list.error ?? who.query.error}>
      <div className="page">
        <div className="page-head">
          <h1>{AGENTS.title}</h1>
        </div>
        {list.data === undefined ? (
          <QueryPlaceholder query={list} rows={3} />
        ) : list.data.agents.length === 0 ? (
          <EmptyState title={AGENTS.none}>
            <p className="muted">{AGENTS.noneHelp}</p>
            <Command text={LINK_COMMAND} />
          </EmptyState>
        ) : (
          <Table
            agents={list.data.agents}
            mayForget={(agent) => who.isAdmin || agent.user === who.user}
            onForget={setForgotten}
          />
        )}
      </div>
      {forgotten === null ? null : (
        <ForgetDialog
          agent={forgotten}
          onClose={() => setForgotten(null)}
          onDone={() => {
            setForgotten(null);
            void client.invalidateQueries({ queryKey: KEY });
          }}
        />
      )}
    </PageStatus>
  );
}

interface TableProps {
  agents: readonly LinkedAgent[];
  mayForget: (agent: LinkedAgent) => boolean;
  onForget: (agent: LinkedAgent) => void;
}

function Table({ agents, mayForget, onForget }: TableProps) {
  return (
    <div className={`card ${styles.card} ${styles.wrap}`}>
      <table className={`list ${styles.stack} ${own.table}`}>
        <thead>
          <tr>
            <th scope="col">{AGENTS.machine}</th>
            <th scope="col">{AGENTS.state}</th>
            <th scope="col">{AGENTS.allows}</th>
            <th scope="col">
              <span className="sr-only">{AGENTS.forget}</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {agents.map((agent) => (
            <Row
              key={agent.id}
              agent={agent}
              {...(mayForget(agent) ? { onForget: () => onForget(agent) } : {})}
            />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Row({ agent, onForget }: { agent: LinkedAgent; onForget?: () => void }) {
  const now = useNow(true);
  const classes = agent.allow.join(", ");
  return (
    <tr>
      <th scope="row" className={own.host}>
        {agent.host}
        <div className="muted">
          <span className="mono">{agent.id}</span> {agent.version}
        </div>
      </th>
      <td title={formatDateTitle(agent.seen, now)}>
        <span className={agent.online ? own.online : own.offline}>
          {agent.online ? AGENTS.online : AGENTS.offlineSince(ago(agent.seen, now))}
        </span>
        {agent.online ? null : (
          <div className="muted">
            {AGENTS.startIt} <code>{START_COMMAND}</code>
          </div>
        )}
      </td>
      <td>
        {classes}
        <div className="muted">
          {agent.who === "org" ? AGENTS.forOrganisation(agent.user) : AGENTS.forMember(agent.user)}
        </div>
      </td>
      <td className={`list-number ${styles.action}`}>
        {onForget === undefined ? null : (
          <Button
            variant="quiet"
            className="button-danger"
            aria-label={AGENTS.forgetLabel(agent.host)}
            onClick={onForget}
          >
            {AGENTS.forget}
          </Button>
        )}
      </td>
    </tr>
  );
}

interface ForgetProps {
  agent: LinkedAgent;
  onDone: () => void;
  onClose: () => void;
}

function ForgetDialog({ agent, onDone, onClose }: ForgetProps) {
  const forget = useMutation({
    mutationFn: () => agentsApi.forget(agent.id),
    onSuccess: () => {
      toast(AGENTS.forgotten(agent.host));
      onDone();
    },
  });
  return (
    <ConfirmDialog
      danger
      title={AGENTS.forgetTitle(agent.host)}
      action={AGENTS.forget}
      disabled={forget.isPending}
      error={forget.error}
      onConfirm={() => forget.mutate()}
      onClose={onClose}
    >
      <p>{AGENTS.forgetEffect}</p>
      <p>
        {AGENTS.connectsAgain} <code>{UNLINK_COMMAND}</code>
      </p>
    </ConfirmDialog>
  );
}
