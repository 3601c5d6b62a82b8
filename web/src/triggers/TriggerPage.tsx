import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useId, useState } from "react";

import type { Delivery, Trigger } from "@/api/schema";
import { FORKS } from "@/triggers/AddTriggerDialog";
import { triggersApi } from "@/triggers/api/triggers";
import { Button } from "@/components/Button";
import { Code } from "@/components/Code";
import { FormError } from "@/components/ConfirmDialog";
import { EmptyState } from "@/components/EmptyState";
import { Page } from "@/components/Page";
import { QueryPlaceholder } from "@/components/QueryPlaceholder";
import { RequestDialog } from "@/components/RequestDialog";
import { toast } from "@/components/toasts";
import { followLink, navigate, type PageProps } from "@/lib/location";
import styles from "@/people/Table.module.css";
import { duration } from "@/lib/time";
import { TakeOverButton } from "@/people/TakeOverButton";
import { useWho } from "@/people/useWho";
import { DeliveryTable, RESULTS } from "@/triggers/DeliveryTable";

const testLaunches = (section: string, commit: string) =>
  commit === "" ? `[${section}] would launch:` : `[${section}] would launch at ${commit}:`;

const REFRESH_MS = 5000;
const SHORT_SHA = 10;

/** One trigger: a test of it, and its deliveries with the reasons of those that were refused. */
export function TriggerPage({ params }: PageProps) {
  const name = params.name ?? "";
  const who = useWho();
  const client = useQueryClient();
  const [approved, setApproved] = useState<Delivery | null>(null);
  const list = useQuery({
    queryKey: ["triggers"],
    queryFn: ({ signal }) => triggersApi.list(signal),
  });
  const key = ["deliveries", name];
  const history = useQuery({
    queryKey: key,
    queryFn: ({ signal }) => triggersApi.deliveries(name, signal),
    refetchInterval: REFRESH_MS,
  });
  const trigger = list.data?.triggers.find((one) => one.name === name);
  const deliveries = history.data?.deliveries;
  return (
    <Page
      title={name}
      error={history.error ?? list.error}
      polled={[history, REFRESH_MS]}
      actions={
        trigger !== undefined && (who.isAdmin || who.user === trigger.owner) ? (
          <DeleteButton name={name} />
        ) : null
      }
      dialog={
        approved === null ? null : (
          <RequestDialog
            title={`Launch pull request #${approved.event.number} from a fork?`}
            action="Approve"
            request={() =>
              triggersApi
                .approve(name, approved.id)
                .finally(() => void client.invalidateQueries({ queryKey: key }))
            }
            onDone={({ pipeline, reason }) => {
              setApproved(null);
              if (pipeline === null) toast(reason ?? RESULTS.failed, "error");
              else toast(`Launched ${pipeline}`);
            }}
            onClose={() => setApproved(null)}
          >
            <p>
              <a href={approved.event.url} target="_blank" rel="noreferrer">
                {approved.event.url}
              </a>{" "}
              <span className="mono">{approved.event.sha.slice(0, SHORT_SHA)}</span>
            </p>
            <p>
              Its commands run without secrets, user data and shells. Read the changes first: they
              use the plan's minutes, and a command can do anything else.
            </p>
          </RequestDialog>
        )
      }
    >
      <a href="/triggers" onClick={followLink}>
        All triggers
      </a>
      {trigger === undefined ? (
        <QueryPlaceholder query={list} rows={2} />
      ) : (
        <>
          <Facts trigger={trigger} />
          {trigger.suspended ? (
            <p>
              Suspended: {trigger.owner} may not store it any more. Its webhooks launch nothing
              until an administrator takes it over, or stores it again with another token.{" "}
              {who.isAdmin && !trigger.has_token ? (
                <TakeOverButton
                  kind="trigger"
                  name={name}
                  onDone={() => void client.invalidateQueries({ queryKey: ["triggers"] })}
                />
              ) : null}
            </p>
          ) : null}
          {who.mayLaunch ? <Trial name={name} /> : null}
        </>
      )}
      <section className={styles.section}>
        <h2>Deliveries</h2>
        {deliveries === undefined ? (
          <QueryPlaceholder query={history} rows={3} />
        ) : deliveries.length === 0 ? (
          <EmptyState
            icon="branch"
            title="No webhook has arrived yet"
            text={`Each webhook appears here with what it launched, or why it launched nothing. ${
              trigger?.app === true
                ? "Push a commit:"
                : "Create the webhook at the provider, and push a commit:"
            }`}
            example="git commit --allow-empty -m 'Try the trigger' && git push"
            docs="triggers"
          />
        ) : (
          <DeliveryTable deliveries={deliveries} onApprove={who.mayLaunch ? setApproved : null} />
        )}
      </section>
    </Page>
  );
}

export function triggerUrl(name: string): string {
  return `/triggers/${encodeURIComponent(name)}`;
}

function Facts({ trigger }: { trigger: Trigger }) {
  return (
    <p className="muted">
      <a href={trigger.repository} target="_blank" rel="noreferrer">
        {trigger.repository}
      </a>
      {" · "}
      {trigger.app ? "GitHub App" : trigger.has_token ? "Token" : "Public only"}
      {trigger.submodules.length > 0
        ? ` · also for the submodules ${trigger.submodules.join(", ")}`
        : null}
      {" · "}
      {"Pull requests from forks"}: {FORKS[trigger.forks].toLowerCase()}
      {" · "}
      {"Wait for room in the plan"}: {duration(trigger.window)}
    </p>
  );
}

function Trial({ name }: { name: string }) {
  const field = useId();
  const [branch, setBranch] = useState("main");
  const trial = useMutation({ mutationFn: () => triggersApi.test(name, branch.trim()) });
  const found = trial.data;
  return (
    <section className={styles.section}>
      <h2>Test</h2>
      <p className="muted">
        Read the file of the newest commit, and show what a push would launch.
      </p>
      <form
        className={styles.filters}
        onSubmit={(event) => {
          event.preventDefault();
          trial.mutate();
        }}
      >
        <label htmlFor={field} className="sr-only">
          Branch
        </label>
        <input
          id={field}
          className="field"
          required
          value={branch}
          onChange={(event) => setBranch(event.target.value)}
        />
        <Button type="submit" disabled={trial.isPending}>
          Test without launching
        </Button>
      </form>
      <div role="status">
        {found === undefined ? null : found.section === null ? (
          <p className="state-warning">{`Nothing would be launched: ${found.reason ?? ""}`}</p>
        ) : (
          <>
            <p>{testLaunches(found.section, found.sha.slice(0, SHORT_SHA))}</p>
            <Code text={found.command ?? ""} label="Command" />
          </>
        )}
      </div>
      <FormError error={trial.error} />
    </section>
  );
}

function DeleteButton({ name }: { name: string }) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <Button variant="quiet" className="button-danger" onClick={() => setOpen(true)}>
        Delete
      </Button>
      {open ? (
        <RequestDialog
          danger
          title={`Delete the trigger ${name}?`}
          action="Delete"
          request={() => triggersApi.remove(name)}
          onDone={() => navigate("/triggers")}
          onClose={() => setOpen(false)}
        >
          <p>Its webhook is rejected from now on. Its pipelines are kept.</p>
        </RequestDialog>
      ) : null}
    </>
  );
}
