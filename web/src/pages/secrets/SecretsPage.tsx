import "@/components/pages.css";

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";

import { messageOf } from "@/api/client";
import type { SecretInfo, SecretKey, SecretList } from "@/api/schema";
import { secretsApi } from "@/api/secrets";
import { Button } from "@/components/Button";
import { Empty, Failure } from "@/components/Empty";
import { Loading } from "@/components/Loading";
import { PageStand } from "@/components/PageStand";
import { toast } from "@/components/toasts";
import { useNow } from "@/components/useNow";
import { when, whenElse } from "@/lib/formatDate";
import { DeleteSecretDialog } from "@/pages/secrets/DeleteSecretDialog";
import { SetSecretDialog } from "@/pages/secrets/SetSecretDialog";

const REFRESH_MS = 5000;
const KEY = ["secrets"] as const;

/** What is open over the list: the form for a new secret, for a known one, or a question. */
type Opened = { kind: "set"; secret: SecretInfo | null } | { kind: "delete"; secret: SecretKey };

export function SecretsPage() {
  const client = useQueryClient();
  const [opened, setOpened] = useState<Opened | null>(null);
  const list = useQuery({
    queryKey: KEY,
    queryFn: ({ signal }) => secretsApi.list(signal),
    refetchInterval: REFRESH_MS,
  });
  useEffect(() => {
    document.title = "Secrets · Conducto";
  }, []);
  const onDone = (answer: SecretList, said: string) => {
    client.setQueryData(KEY, answer);
    setOpened(null);
    toast(said);
    for (const note of answer.notes) toast(note);
  };
  const secrets = list.data?.secrets;
  return (
    <PageStand error={list.error} known={secrets !== undefined}>
      <div className="page">
        <div className="page-head">
          <h1>Secrets</h1>
          <span className="page-grow" />
          <Button look="main" onClick={() => setOpened({ kind: "set", secret: null })}>
            Add a secret
          </Button>
        </div>
        <p className="muted">
          Every command gets them as environment variables. Values can be set and replaced; nobody
          can read them here.
        </p>
        {secrets === undefined ? (
          list.error === null ? (
            <div className="card">
              <Loading rows={4} />
            </div>
          ) : (
            <Failure message={messageOf(list.error)} onRetry={() => void list.refetch()} />
          )
        ) : secrets.length === 0 ? (
          <Empty title="No secrets yet">
            <p className="muted">
              Passwords and tokens belong here rather than in a script or in <code>env</code>.
            </p>
          </Empty>
        ) : (
          <Table secrets={secrets} onOpen={setOpened} />
        )}
        {list.data === undefined || list.data.kept === "" ? null : (
          <p className="muted secrets-kept">Where values are kept: {list.data.kept}.</p>
        )}
      </div>
      {opened?.kind === "set" ? (
        <SetSecretDialog
          known={secrets ?? []}
          secret={opened.secret}
          onDone={(answer, key) => onDone(answer, `Stored ${key}`)}
          onClose={() => setOpened(null)}
        />
      ) : null}
      {opened?.kind === "delete" ? (
        <DeleteSecretDialog
          secret={opened.secret}
          onDone={(answer) => onDone(answer, `Deleted ${opened.secret.key}`)}
          onClose={() => setOpened(null)}
        />
      ) : null}
    </PageStand>
  );
}

const SCOPES: Record<SecretKey["scope"], string> = { user: "you", org: "organisation" };

function Table(props: { secrets: readonly SecretInfo[]; onOpen: (opened: Opened) => void }) {
  const now = useNow(true);
  return (
    <div className="card secrets-card">
      <table className="list">
        <thead>
          <tr>
            <th scope="col">Name</th>
            <th scope="col">For</th>
            <th scope="col">In output</th>
            <th scope="col" className="secrets-extra">
              Stored
            </th>
            <th scope="col">
              <span className="sr-only">Orders</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {props.secrets.map((secret) => (
            <tr key={`${secret.scope} ${secret.key}`}>
              <th scope="row" className="mono secrets-name">
                {secret.key}
              </th>
              <td>{SCOPES[secret.scope]}</td>
              <td>{maskWords(secret)}</td>
              <td className="muted secrets-extra" title={whenElse(secret.updated, now)}>
                {when(secret.updated, now)}
              </td>
              <td className="list-number">
                <Button
                  look="quiet"
                  aria-label={`Replace ${secret.key}`}
                  onClick={() => props.onOpen({ kind: "set", secret })}
                >
                  Replace
                </Button>
                <Button
                  look="quiet"
                  className="button-danger"
                  aria-label={`Delete ${secret.key}`}
                  onClick={() =>
                    props.onOpen({
                      kind: "delete",
                      secret: { scope: secret.scope, key: secret.key },
                    })
                  }
                >
                  Delete
                </Button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function maskWords({ mask, masked }: SecretInfo) {
  if (masked) return "hidden";
  return mask ? (
    <span className="state-warning">shown: too short to be hidden</span>
  ) : (
    <span className="state-warning">shown</span>
  );
}
