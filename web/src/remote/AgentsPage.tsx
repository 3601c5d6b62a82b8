import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { agentsApi } from "@/remote/api/agents";
import type { LinkedAgent } from "@/api/schema";
import { Button } from "@/components/Button";
import { Command } from "@/components/Command";
import { EmptyState } from "@/components/EmptyState";
import { Page } from "@/components/Page";
import { QueryPlaceholder } from "@/components/QueryPlaceholder";
import { RequestDialog } from "@/components/RequestDialog";
import { toast } from "@/components/toasts";
import { useNow } from "@/components/useNow";
import { formatDateTitle } from "@/lib/formatDate";
import { ago } from "@/lib/time";
import own from "@/remote/Agents.module.css";
import { ListTable } from "@/people/ListTable";
import styles from "@/people/Table.module.css";
import { useWho } from "@/people/useWho";
import { AGENTS, LINK_COMMAND, START_COMMAND, UNLINK_COMMAND } from "@/remote/texts/agents";

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
  return (
    <Page
      title={AGENTS.title}
      error={list.error ?? who.query.error}
      dialog={
        forgotten === null ? null : (
          <RequestDialog
            danger
            title={AGENTS.forgetTitle(forgotten.host)}
            action={AGENTS.forget}
            request={() => agentsApi.forget(forgotten.id)}
            onDone={() => {
              toast(AGENTS.forgotten(forgotten.host));
              setForgotten(null);
              void client.invalidateQueries({ queryKey: KEY });
            }}
            onClose={() => setForgotten(null)}
          >
            <p>{AGENTS.forgetEffect}</p>
            <p>
              {AGENTS.connectsAgain} <code>{UNLINK_COMMAND}</code>
            </p>
          </RequestDialog>
        )
      }
    >
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
    </Page>
  );
}

interface TableProps {
  agents: readonly LinkedAgent[];
  mayForget: (agent: LinkedAgent) => boolean;
  onForget: (agent: LinkedAgent) => void;
}

function Table({ agents, mayForget, onForget }: TableProps) {
  return (
    <ListTable
      columns={[AGENTS.machine, AGENTS.state, AGENTS.allows]}
      actions={AGENTS.forget}
      className={`${styles.wrap} ${own.table}`}
    >
      {agents.map((agent) => (
        <Row
          key={agent.id}
          agent={agent}
          {...(mayForget(agent) ? { onForget: () => onForget(agent) } : {})}
        />
      ))}
    </ListTable>
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
