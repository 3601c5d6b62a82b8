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
import styles from "@/secrets/SecretsPage.module.css";
import { SetSecretDialog } from "@/secrets/SetSecretDialog";
import { SECRETS } from "@/secrets/texts/secrets";

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
  return (
    <Page
      title={SECRETS.title}
      error={list.error}
      actions={
        <Button variant="main" onClick={() => setOpened({ kind: "set", secret: null })}>
          {SECRETS.addSecret}
        </Button>
      }
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
            title={SECRETS.deleteTitle(opened.secret.key)}
            action={SECRETS.delete}
            request={() => secretsApi.remove(opened.secret)}
            onDone={(answer) => onDone(answer, `Deleted ${opened.secret.key}`)}
            onClose={() => setOpened(null)}
          >
            <p>{SECRETS.deleteEffect}</p>
          </RequestDialog>
        ) : null
      }
    >
      <p className="muted">{SECRETS.help}</p>
      {secrets === undefined ? (
        <QueryPlaceholder query={list} rows={4} />
      ) : secrets.length === 0 ? (
        <EmptyState title={SECRETS.none}>
          <p className="muted">
            {SECRETS.noneHelp}
            <code>env</code>.
          </p>
        </EmptyState>
      ) : (
        <Table secrets={secrets} onOpen={setOpened} />
      )}
      {list.data === undefined || list.data.kept === "" ? null : (
        <p className={`muted ${styles.kept}`}>{SECRETS.storage(list.data.kept)}</p>
      )}
    </Page>
  );
}

const SCOPES: Record<SecretKey["scope"], string> = { user: "you", org: "organisation" };

function Table(props: { secrets: readonly SecretInfo[]; onOpen: (opened: Opened) => void }) {
  return (
    <ListTable
      columns={[SECRETS.name, SECRETS.for, SECRETS.inOutput, SECRETS.stored]}
      actions={SECRETS.actions}
      className={tableStyles.wrap}
    >
      {props.secrets.map((secret) => (
        <tr key={`${secret.scope} ${secret.key}`}>
          <th scope="row" className={`mono ${styles.name}`}>
            {secret.key}
          </th>
          <td data-label={SECRETS.for}>{SCOPES[secret.scope]}</td>
          <td data-label={SECRETS.inOutput}>{maskText(secret)}</td>
          <TimeCell label={SECRETS.stored} time={secret.updated} />
          <td className={`list-number ${tableStyles.action}`}>
            <Button
              variant="quiet"
              aria-label={SECRETS.replaceSecret(secret.key)}
              onClick={() => props.onOpen({ kind: "set", secret })}
            >
              {SECRETS.replace}
            </Button>
            <Button
              variant="quiet"
              className="button-danger"
              aria-label={SECRETS.deleteSecret(secret.key)}
              onClick={() =>
                props.onOpen({
                  kind: "delete",
                  secret: { scope: secret.scope, key: secret.key },
                })
              }
            >
              {SECRETS.delete}
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
    <span className="state-warning">{SECRETS.tooShort}</span>
  ) : (
    <span className="state-warning">{SECRETS.visible}</span>
  );
}
