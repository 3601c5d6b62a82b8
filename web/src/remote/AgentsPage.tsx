import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { agentsApi } from "@/remote/api/agents";
import type { LinkedAgent } from "@/api/schema";
import { Button } from "@/components/Button";
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
      title="Agents"
      error={list.error ?? who.query.error}
      polled={[list, REFRESH_MS]}
      dialog={
        forgotten === null ? null : (
          <RequestDialog
            danger
            title={`Forget ${forgotten.host}?`}
            action="Forget"
            request={() => agentsApi.forget(forgotten.id)}
            onDone={() => {
              toast(`${forgotten.host} was forgotten`);
              setForgotten(null);
              void client.invalidateQueries({ queryKey: KEY });
            }}
            onClose={() => setForgotten(null)}
          >
            <p>Its pipelines leave the lists; on the machine, they stay.</p>
            <p>
              A linked agent connects again. To end the link, revoke its token, or run there:{" "}
              <code>conducto agent unlink</code>
            </p>
          </RequestDialog>
        )
      }
    >
      {list.data === undefined ? (
        <QueryPlaceholder query={list} rows={3} />
      ) : list.data.agents.length === 0 ? (
        <EmptyState
          icon="server"
          title="No machines are linked"
          text="Link a machine to see and control its pipelines here. On that machine, run:"
          example="conducto agent link"
          docs="remote-control"
        />
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
      columns={["Machine", "State", "Allows"]}
      actions="Forget"
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
          {agent.online ? "Online" : `Offline, last seen ${ago(agent.seen, now)}`}
        </span>
        {agent.online ? null : (
          <div className="muted">
            Start it with: <code>conducto agent start</code>
          </div>
        )}
      </td>
      <td>
        {classes}
        <div className="muted">
          {agent.who === "org"
            ? `for ${agent.user} and the organisation`
            : `for ${agent.user} only`}
        </div>
      </td>
      <td className={`list-number ${styles.action}`}>
        {onForget === undefined ? null : (
          <Button
            variant="quiet"
            className="button-danger"
            aria-label={`Forget ${agent.host}`}
            onClick={onForget}
          >
            Forget
          </Button>
        )}
      </td>
    </tr>
  );
}
