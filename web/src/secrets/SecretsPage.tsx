import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import type { SecretInfo, SecretKey, SecretList } from "@/api/schema";
import { secretsApi } from "@/secrets/api/secrets";
import { Button } from "@/components/Button";
import { EmptyState } from "@/components/EmptyState";
import { Page } from "@/components/Page";
import { QueryPlaceholder } from "@/components/QueryPlaceholder";
import { RequestDialog } from "@/components/RequestDialog";
import { toast } from "@/components/toasts";
import { ListTable, TimeCell } from "@/people/ListTable";
import tableStyles from "@/people/Table.module.css";
import { visible } from "@/lib/visible";
import styles from "@/secrets/SecretsPage.module.css";
import { SetSecretDialog } from "@/secrets/SetSecretDialog";

const REFRESH_MS = 5000;
const KEY = ["secrets"] as const;

/** The open dialog. */
type Opened = { kind: "set"; secret: SecretInfo | null } | { kind: "delete"; secret: SecretKey };

export function SecretsPage() {
  const client = useQueryClient();
  const [opened, setOpened] = useState<Opened | null>(null);
  const list = useQuery({
    queryKey: KEY,
    queryFn: ({ signal }) => secretsApi.list(signal),
    refetchInterval: REFRESH_MS,
  });
  const onDone = (answer: SecretList, message: string) => {
    client.setQueryData(KEY, answer);
    setOpened(null);
    toast(message);
    for (const note of answer.notes) toast(note);
  };
  const secrets = list.data?.secrets;
  const add = (
    <Button variant="main" onClick={() => setOpened({ kind: "set", secret: null })}>
      Add secret
    </Button>
  );
  return (
    <Page
      title="Secrets"
      error={list.error}
      polled={[list, REFRESH_MS]}
      actions={secrets?.length === 0 ? null : add}
      dialog={
        opened?.kind === "set" ? (
          <SetSecretDialog
            known={secrets ?? []}
            secret={opened.secret}
            onDone={(answer, key) => onDone(answer, `Stored ${key}`)}
            onClose={() => setOpened(null)}
          />
        ) : opened?.kind === "delete" ? (
          <RequestDialog
            danger
            title={`Delete ${opened.secret.key}?`}
            action="Delete"
            request={() => secretsApi.remove(opened.secret)}
            onDone={(answer) => onDone(answer, `Deleted ${opened.secret.key}`)}
            onClose={() => setOpened(null)}
          >
            <p>New commands will no longer receive it. You cannot restore its value.</p>
          </RequestDialog>
        ) : null
      }
    >
      <p className="muted">
        Commands receive secrets as environment variables. You can set and replace values here, but
        not read them.
      </p>
      {secrets === undefined ? (
        <QueryPlaceholder query={list} rows={4} />
      ) : secrets.length === 0 ? (
        <EmptyState
          icon="key"
          title="No secrets yet"
          text="Store passwords and tokens here instead of in a script. Commands get them as environment variables, and they are masked in output."
          example="conducto secrets set GITHUB_TOKEN"
          action={add}
          docs="concepts/environment-and-secrets"
        />
      ) : (
        <Table secrets={secrets} onOpen={setOpened} />
      )}
      {list.data === undefined || list.data.kept === "" ? null : (
        <p className={`muted ${styles.kept}`}>{`Storage: ${list.data.kept}.`}</p>
      )}
    </Page>
  );
}

const SCOPES: Record<SecretKey["scope"], string> = { user: "you", org: "organisation" };

function Table(props: { secrets: readonly SecretInfo[]; onOpen: (opened: Opened) => void }) {
  return (
    <ListTable
      columns={["Name", "For", "In output", "Stored"]}
      actions="Actions"
      className={tableStyles.wrap}
    >
      {props.secrets.map((secret) => (
        <tr key={`${secret.scope} ${secret.key} ${secret.secret_set}`}>
          <th scope="row" className={`mono ${styles.name}`}>
            {secret.key}
            {secret.secret_set === "" ? null : (
              <div className="muted">{`in the set ${visible(secret.secret_set)}`}</div>
            )}
            {secret.reference === null ? null : (
              <div className="muted">{`from ${visible(secret.reference)}`}</div>
            )}
          </th>
          <td data-label="For">{SCOPES[secret.scope]}</td>
          <td data-label="In output">{maskText(secret)}</td>
          <TimeCell label="Stored" time={secret.updated} />
          <td className={`list-number ${tableStyles.action}`}>
            <Button
              variant="quiet"
              aria-label={`Replace ${secret.key}`}
              onClick={() => props.onOpen({ kind: "set", secret })}
            >
              Replace
            </Button>
            <Button
              variant="quiet"
              className="button-danger"
              aria-label={`Delete ${secret.key}`}
              onClick={() =>
                props.onOpen({
                  kind: "delete",
                  secret: {
                    scope: secret.scope,
                    key: secret.key,
                    secret_set: secret.secret_set,
                  },
                })
              }
            >
              Delete
            </Button>
          </td>
        </tr>
      ))}
    </ListTable>
  );
}

function maskText({ mask, masked }: SecretInfo) {
  if (masked) return "hidden";
  return mask ? (
    <span className="state-warning">visible: too short to hide</span>
  ) : (
    <span className="state-warning">visible</span>
  );
}
