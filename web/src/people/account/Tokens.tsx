import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { messageOf } from "@/api/client";
import { organisationApi } from "@/people/api/organisation";
import type { MemberToken } from "@/api/schema";
import { Button } from "@/components/Button";
import { EmptyState } from "@/components/EmptyState";
import { RequestDialog } from "@/components/RequestDialog";
import { toast } from "@/components/toasts";
import { moment } from "@/lib/time";
import { CreateTokenDialog } from "@/people/account/CreateTokenDialog";
import { ListTable, TimeCell } from "@/people/ListTable";
import styles from "@/people/Table.module.css";

const KINDS: Record<MemberToken["kind"], string> = {
  token: "Program",
  assistant: "Assistant",
  login: "Command line",
  session: "Browser",
};
const TOKENS_KEY = ["tokens"] as const;
const SESSIONS_KEY = ["sessions"] as const;

/** The user's tokens. */
export function Tokens({ permissions }: { permissions: readonly string[] }) {
  const client = useQueryClient();
  const [creating, setCreating] = useState(false);
  const refresh = () => void client.invalidateQueries({ queryKey: TOKENS_KEY });
  const list = useQuery({
    queryKey: TOKENS_KEY,
    queryFn: ({ signal }) => organisationApi.tokens(signal),
  });
  return (
    <section className={styles.section}>
      <div className={styles.head}>
        <h2>Tokens</h2>
        <span className="page-grow" />
        <Button onClick={() => setCreating(true)}>Create token</Button>
      </div>
      <TokenTable
        tokens={list.data?.tokens ?? []}
        action="Revoke"
        hasPermissions
        onRevoke={(id) => organisationApi.revokeToken(id)}
        onRevoked={refresh}
      />
      {creating ? (
        <CreateTokenDialog
          permissions={permissions}
          onCreated={refresh}
          onClose={() => setCreating(false)}
        />
      ) : null}
    </section>
  );
}

/** The user's browser sessions. */
export function Sessions() {
  const client = useQueryClient();
  const [ending, setEnding] = useState(false);
  const list = useQuery({
    queryKey: SESSIONS_KEY,
    queryFn: ({ signal }) => organisationApi.sessions(signal),
  });
  return (
    <section className={styles.section}>
      <div className={styles.head}>
        <h2>Browser sessions</h2>
        <span className="page-grow" />
        <Button onClick={() => setEnding(true)}>End all sessions</Button>
      </div>
      <TokenTable
        tokens={list.data?.tokens ?? []}
        action="End"
        onRevoke={(id) => organisationApi.endSession(id)}
        onRevoked={() => void client.invalidateQueries({ queryKey: SESSIONS_KEY })}
      />
      {ending ? (
        <RequestDialog
          danger
          title={`End all sessions?`}
          action="End all sessions"
          request={() => organisationApi.endSessions()}
          onDone={() => location.assign("/")}
          onClose={() => setEnding(false)}
        >
          <p>All your browsers are signed out, this one too.</p>
        </RequestDialog>
      ) : null}
    </section>
  );
}

interface TableProps {
  tokens: readonly MemberToken[];
  action: string;
  /** Whether the permissions are shown; sessions have all of the user's. */
  hasPermissions?: boolean;
  onRevoke: (id: string) => Promise<unknown>;
  onRevoked: () => void;
}

function TokenTable({ tokens, action, hasPermissions = false, ...on }: TableProps) {
  const revoke = useMutation({
    mutationFn: on.onRevoke,
    onSuccess: () => toast("Revoked"),
    onError: (error) => toast(messageOf(error), "error"),
    onSettled: on.onRevoked,
  });
  if (tokens.length === 0) {
    return (
      <EmptyState
        inline
        icon="key"
        title="No tokens"
        text="A token gives a program, such as a job of CI, some of your permissions until it expires."
        docs="concepts/security"
      />
    );
  }
  return (
    <ListTable
      columns={["Name", ...(hasPermissions ? ["Kind", "Permissions"] : []), "Created", "Expires"]}
      actions={action}
    >
      {tokens.map((token) => (
        <tr key={token.id}>
          <th scope="row">
            {token.name || <span className="mono">{token.id}</span>}
            {token.current ? <span className="muted"> (this one)</span> : null}
          </th>
          {hasPermissions ? (
            <>
              <td data-label="Kind">{KINDS[token.kind]}</td>
              <td className={styles.wide} data-label="Permissions">
                {(token.scopes.length > 0 ? token.scopes : token.permissions)
                  .map((name) => name.replaceAll("_", " "))
                  .join(", ")}
              </td>
            </>
          ) : null}
          <TimeCell label="Created" time={token.created} />
          <td className="muted" data-label="Expires">
            {token.expires === null ? "never" : moment(token.expires)}
          </td>
          <td className={`list-number ${styles.action}`}>
            <Button
              variant="quiet"
              className="button-danger"
              aria-label={`${action} ${token.name || token.id}`}
              disabled={revoke.isPending}
              onClick={() => revoke.mutate(token.id)}
            >
              {action}
            </Button>
          </td>
        </tr>
      ))}
    </ListTable>
  );
}
