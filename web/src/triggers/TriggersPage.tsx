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
import { schedulesApi } from "@/schedules/api/schedules";
import { ScheduleTable } from "@/schedules/SchedulesPage";
import { AddTriggerDialog, FORKS } from "@/triggers/AddTriggerDialog";
import { triggerUrl } from "@/triggers/TriggerPage";
import { Dialog } from "@/components/Dialog";

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
  const schedules = useQuery({
    queryKey: ["schedules"],
    queryFn: ({ signal }) => schedulesApi.list(signal),
    refetchInterval: REFRESH_MS,
  });
  const byEvents = schedules.data?.schedules.filter(({ schedule }) => schedule.on !== null) ?? [];
  const triggers = list.data?.triggers;
  const onDone = (stored: NewTrigger) => {
    setAdding(false);
    void client.invalidateQueries({ queryKey: ["triggers"] });
    toast(`Stored the trigger ${stored.trigger.name}`);
    if (stored.hook_url === null) navigate(triggerUrl(stored.trigger.name));
    else setMade(stored);
  };
  const add =
    who.mayLaunch && triggers !== undefined ? (
      <Button variant="main" onClick={() => setAdding(true)}>
        Add trigger
      </Button>
    ) : null;
  return (
    <Page
      title="Triggers"
      error={list.error ?? who.query.error}
      polled={[list, REFRESH_MS]}
      actions={triggers?.length === 0 ? null : add}
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
        Launch pipelines when something happens in a git repository, by its file{" "}
        <code>.conducto.cfg</code>, or by other events.
      </p>
      {triggers === undefined ? (
        <QueryPlaceholder query={list} rows={3} />
      ) : triggers.length === 0 ? (
        <EmptyState
          icon="branch"
          title="No triggers"
          text={
            <>
              Add a repository: its pushes and pull requests launch what its file{" "}
              <code>.conducto.cfg</code> says, and appear here.
            </>
          }
          example={"[push main]\ncommand = python pipeline.py\nfilter = {branch} == main"}
          action={add}
          docs="triggers"
        />
      ) : (
        <Table triggers={triggers} />
      )}
      {byEvents.length === 0 ? null : (
        <section aria-label="By other events">
          <h2>By other events</h2>
          <ScheduleTable schedules={byEvents} />
        </section>
      )}
      {app.data === undefined ? null : <AppSection app={app.data.app} />}
    </Page>
  );
}

function Table({ triggers }: { triggers: readonly Trigger[] }) {
  return (
    <ListTable
      columns={["Name", "Repository", "Access", "Pull requests from forks", "Owner"]}
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
          <td data-label="Access">
            {trigger.app ? "GitHub App" : trigger.has_token ? "Token" : "Public only"}
          </td>
          <td data-label="Pull requests from forks">{FORKS[trigger.forks]}</td>
          <td data-label="Owner">
            {trigger.owner}
            {trigger.suspended ? <div className="muted">Suspended</div> : null}
          </td>
        </tr>
      ))}
    </ListTable>
  );
}

function AppSection({ app }: { app: GithubApp | null }) {
  return (
    <section className={styles.section}>
      <h2>GitHub App</h2>
      {app === null ? (
        <>
          <p className="muted">
            It needs no token of a person. An administrator creates it with the command line:
          </p>
          <Command text="conducto trigger github-app create" />
        </>
      ) : (
        <p className="muted">
          {`The GitHub App ${app.slug} sends webhooks and gives tokens.`}{" "}
          <a href={`${app.page}/installations/new`} target="_blank" rel="noreferrer">
            Give it repositories
          </a>
        </p>
      )}
    </section>
  );
}

/** The address and the secret of a new webhook, which the server does not show again. */
function WebhookDialog({ made, onClose }: { made: NewTrigger; onClose: () => void }) {
  return (
    <Dialog
      title={`Create a webhook for ${made.trigger.name}`}
      onClose={onClose}
      footer={
        <Button variant="main" onClick={onClose}>
          Close
        </Button>
      }
    >
      <div className="form">
        <div>
          Address of the webhook
          <Code text={made.hook_url ?? ""} label="Address of the webhook" />
        </div>
        <div>
          Secret of the webhook
          <Code text={made.secret ?? ""} label="Secret of the webhook" />
          <span className="muted">It is shown once.</span>
        </div>
        <p className="muted">
          Events: pushes, pull requests, branches and tags. Content type: application/json.
        </p>
      </div>
    </Dialog>
  );
}
