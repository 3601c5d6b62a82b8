import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useId, useState } from "react";

import type { Delivery, Trigger } from "@/api/schema";
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
import { TakeOverButton } from "@/people/TakeOverButton";
import { useWho } from "@/people/useWho";
import { DeliveryTable } from "@/triggers/DeliveryTable";
import { TRIGGERS } from "@/triggers/texts/triggers";

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
      actions={
        trigger !== undefined && (who.isAdmin || who.user === trigger.owner) ? (
          <DeleteButton name={name} />
        ) : null
      }
      dialog={
        approved === null ? null : (
          <RequestDialog
            title={TRIGGERS.approveTitle(approved.event.number)}
            action={TRIGGERS.approve}
            request={() =>
              triggersApi
                .approve(name, approved.id)
                .finally(() => void client.invalidateQueries({ queryKey: key }))
            }
            onDone={({ pipeline, reason }) => {
              setApproved(null);
              if (pipeline === null) toast(reason ?? TRIGGERS.results.failed, "error");
              else toast(TRIGGERS.launched(pipeline));
            }}
            onClose={() => setApproved(null)}
          >
            <p>
              <a href={approved.event.url} target="_blank" rel="noreferrer">
                {approved.event.url}
              </a>{" "}
              <span className="mono">{approved.event.sha.slice(0, SHORT_SHA)}</span>
            </p>
            <p>{TRIGGERS.approveEffect}</p>
          </RequestDialog>
        )
      }
    >
      <a href="/triggers" onClick={followLink}>
        {TRIGGERS.back}
      </a>
      {trigger === undefined ? (
        <QueryPlaceholder query={list} rows={2} />
      ) : (
        <>
          <Facts trigger={trigger} />
          {trigger.suspended ? (
            <p>
              {TRIGGERS.suspendedOf(trigger.owner)}{" "}
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
        <h2>{TRIGGERS.deliveries}</h2>
        {deliveries === undefined ? (
          <QueryPlaceholder query={history} rows={3} />
        ) : deliveries.length === 0 ? (
          <EmptyState
            title={trigger?.app === true ? TRIGGERS.noDeliveriesOfApp : TRIGGERS.noDeliveries}
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
      {TRIGGERS.accessOf(trigger.app, trigger.has_token)}
      {trigger.submodules.length > 0 ? ` · ${TRIGGERS.submodules(trigger.submodules)}` : null}
      {" · "}
      {TRIGGERS.forks}: {TRIGGERS.forkOptions[trigger.forks].toLowerCase()}
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
      <h2>{TRIGGERS.test}</h2>
      <p className="muted">{TRIGGERS.testHelp}</p>
      <form
        className={styles.filters}
        onSubmit={(event) => {
          event.preventDefault();
          trial.mutate();
        }}
      >
        <label htmlFor={field} className="sr-only">
          {TRIGGERS.branch}
        </label>
        <input
          id={field}
          className="field"
          required
          value={branch}
          onChange={(event) => setBranch(event.target.value)}
        />
        <Button type="submit" disabled={trial.isPending}>
          {TRIGGERS.testButton}
        </Button>
      </form>
      <div role="status">
        {found === undefined ? null : found.section === null ? (
          <p className="state-warning">{TRIGGERS.testLaunchesNothing(found.reason ?? "")}</p>
        ) : (
          <>
            <p>{TRIGGERS.testLaunches(found.section, found.sha.slice(0, SHORT_SHA))}</p>
            <Code text={found.command ?? ""} label={TRIGGERS.command} />
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
        {TRIGGERS.delete}
      </Button>
      {open ? (
        <RequestDialog
          danger
          title={TRIGGERS.deleteTitle(name)}
          action={TRIGGERS.delete}
          request={() => triggersApi.remove(name)}
          onDone={() => navigate("/triggers")}
          onClose={() => setOpen(false)}
        >
          <p>{TRIGGERS.deleteEffect}</p>
        </RequestDialog>
      ) : null}
    </>
  );
}
