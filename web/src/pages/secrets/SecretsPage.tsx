import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import type { SecretInfo, SecretKey, SecretList } from "@/api/schema";
import { secretsApi } from "@/api/secrets";
import { Button } from "@/components/Button";
import { EmptyState } from "@/components/EmptyState";
import { Page } from "@/components/Page";
import { QueryPlaceholder } from "@/components/QueryPlaceholder";
import { RequestDialog } from "@/components/RequestDialog";
import { toast } from "@/components/toasts";
import { useNow } from "@/components/useNow";
import { formatDate, formatDateTitle } from "@/lib/formatDate";
import styles from "@/pages/secrets/SecretsPage.module.css";
import { SetSecretDialog } from "@/pages/secrets/SetSecretDialog";
import { SECRETS } from "@/strings/secrets";

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
  const now = useNow(true);
  return (
    <div className={`card ${styles.card}`}>
      <table className="list">
        <thead>
          <tr>
            <th scope="col">{SECRETS.name}</th>
            <th scope="col">{SECRETS.for}</th>
            <th scope="col">{SECRETS.inOutput}</th>
            <th scope="col" className={styles.extra}>
              {SECRETS.stored}
            </th>
            <th scope="col">
              <span className="sr-only">{SECRETS.actions}</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {props.secrets.map((secret) => (
            <tr key={`${secret.scope} ${secret.key}`}>
              <th scope="row" className={`mono ${styles.name}`}>
                {secret.key}
              </th>
              <td>{SCOPES[secret.scope]}</td>
              <td>{maskText(secret)}</td>
              <td className={`muted ${styles.extra}`} title={formatDateTitle(secret.updated, now)}>
                {formatDate(secret.updated, now)}
              </td>
              <td className="list-number">
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
        </tbody>
      </table>
    </div>
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
