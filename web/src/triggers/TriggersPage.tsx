import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import type { GithubApp, NewTrigger, Trigger } from "@/api/schema";
import { triggersApi } from "@/triggers/api/triggers";
import { Button } from "@/components/Button";
import { Code } from "@/components/Code";
import { Command } from "@/components/Command";
import { EmptyState } from "@/components/EmptyState";
import { Page } from "@/components/Page";
import { QueryPlaceholder } from "@/components/QueryPlaceholder";
import { toast } from "@/components/toasts";
import { followLink, navigate } from "@/lib/location";
import { ListTable } from "@/people/ListTable";
import styles from "@/people/Table.module.css";
import { useWho } from "@/people/useWho";
import { AddTriggerDialog } from "@/triggers/AddTriggerDialog";
import { triggerUrl } from "@/triggers/TriggerPage";
import { WebhookDialog } from "@/triggers/WebhookDialog";
import { TRIGGERS } from "@/triggers/texts/triggers";

const REFRESH_MS = 15_000;

/** The git triggers of the organisation, and its GitHub App. */
export function TriggersPage() {
  const who = useWho();
  const client = useQueryClient();
  const [adding, setAdding] = useState(false);
  const [made, setMade] = useState<NewTrigger | null>(null);
  const list = useQuery({
    queryKey: ["triggers"],
    queryFn: ({ signal }) => triggersApi.list(signal),
    refetchInterval: REFRESH_MS,
  });
  const app = useQuery({
    queryKey: ["github-app"],
    queryFn: ({ signal }) => triggersApi.app(signal),
  });
  const triggers = list.data?.triggers;
  const onDone = (stored: NewTrigger) => {
    setAdding(false);
    void client.invalidateQueries({ queryKey: ["triggers"] });
    toast(TRIGGERS.stored(stored.trigger.name));
    if (stored.hook_url === null) navigate(triggerUrl(stored.trigger.name));
    else setMade(stored);
  };
  return (
    <Page
      title={TRIGGERS.title}
      error={list.error ?? who.query.error}
      actions={
        who.mayLaunch && triggers !== undefined ? (
          <Button variant="main" onClick={() => setAdding(true)}>
            {TRIGGERS.add}
          </Button>
        ) : null
      }
      dialog={
        adding ? (
          <AddTriggerDialog
            known={triggers?.map(({ name }) => name) ?? []}
            app={who.isAdmin ? (app.data?.app ?? null) : null}
            onDone={onDone}
            onClose={() => setAdding(false)}
          />
        ) : made === null ? null : (
          <WebhookDialog made={made} onClose={() => navigate(triggerUrl(made.trigger.name))} />
        )
      }
    >
      <p className="muted">
        {TRIGGERS.help} <code>.conducto.cfg</code>.
      </p>
      {triggers === undefined ? (
        <QueryPlaceholder query={list} rows={3} />
      ) : triggers.length === 0 ? (
        <EmptyState title={TRIGGERS.none}>
          <p className="muted">{TRIGGERS.noneHelp}</p>
          <Code text={TRIGGERS.noneExample} label={TRIGGERS.noneFile} />
        </EmptyState>
      ) : (
        <Table triggers={triggers} />
      )}
      {app.data === undefined ? null : <AppSection app={app.data.app} />}
    </Page>
  );
}

function Table({ triggers }: { triggers: readonly Trigger[] }) {
  return (
    <ListTable
      columns={[
        TRIGGERS.name,
        TRIGGERS.repository,
        TRIGGERS.access,
        TRIGGERS.forks,
        TRIGGERS.owner,
      ]}
      className={styles.wrap}
    >
      {triggers.map((trigger) => (
        <tr key={trigger.name}>
          <th scope="row">
            <a href={triggerUrl(trigger.name)} onClick={followLink}>
              {trigger.name}
            </a>
          </th>
          <td>
            <a href={trigger.repository} target="_blank" rel="noreferrer">
              {trigger.repository.replace(/^https?:\/\//, "")}
            </a>
          </td>
          <td data-label={TRIGGERS.access}>{TRIGGERS.accessOf(trigger.app, trigger.has_token)}</td>
          <td data-label={TRIGGERS.forks}>{TRIGGERS.forkOptions[trigger.forks]}</td>
          <td data-label={TRIGGERS.owner}>
            {trigger.owner}
            {trigger.suspended ? <div className="muted">{TRIGGERS.suspended}</div> : null}
          </td>
        </tr>
      ))}
    </ListTable>
  );
}

function AppSection({ app }: { app: GithubApp | null }) {
  return (
    <section className={styles.section}>
      <h2>{TRIGGERS.appAt}</h2>
      {app === null ? (
        <>
          <p className="muted">{TRIGGERS.appHelp}</p>
          <Command text={TRIGGERS.appCommand} />
        </>
      ) : (
        <p className="muted">
          {TRIGGERS.appOf(app.slug)}{" "}
          <a href={`${app.page}/installations/new`} target="_blank" rel="noreferrer">
            {TRIGGERS.appInstall}
          </a>
        </p>
      )}
    </section>
  );
}
