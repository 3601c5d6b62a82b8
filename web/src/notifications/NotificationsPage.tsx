import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { api, messageOf } from "@/api/client";
import { IN_CLOUD } from "@/api/deployment";
import { rulesApi } from "@/notifications/api/notificationRules";
import type { NotificationRule } from "@/api/schema";
import { Button } from "@/components/Button";
import { EmptyState } from "@/components/EmptyState";
import { Page } from "@/components/Page";
import { QueryPlaceholder } from "@/components/QueryPlaceholder";
import { RequestDialog } from "@/components/RequestDialog";
import { toast } from "@/components/toasts";
import { CHANNELS, EVENTS, RuleDialog } from "@/notifications/RuleDialog";
import { ListTable } from "@/people/ListTable";
import { TakeOverButton } from "@/people/TakeOverButton";
import styles from "@/people/Table.module.css";

const KEY = ["notification-rules"] as const;

/** The rules that send notifications: of the organisation, or of this machine. */
export function NotificationsPage() {
  const client = useQueryClient();
  const [adding, setAdding] = useState(false);
  const [removed, setRemoved] = useState<NotificationRule | null>(null);
  const list = useQuery({ queryKey: KEY, queryFn: ({ signal }) => rulesApi.list(signal) });
  const mayChange = useMayChange();
  const rules = list.data?.rules;
  const refresh = () => void client.invalidateQueries({ queryKey: KEY });
  const onDone = (message: string) => {
    setAdding(false);
    setRemoved(null);
    toast(message);
    refresh();
  };
  const add = mayChange ? (
    <Button variant="main" onClick={() => setAdding(true)}>
      Add rule
    </Button>
  ) : null;
  return (
    <Page
      title="Notifications"
      error={list.error}
      actions={rules?.length === 0 ? null : add}
      dialog={
        adding ? (
          <RuleDialog
            known={rules?.map(({ name }) => name) ?? []}
            onDone={(name) => onDone(`Stored the rule ${name}`)}
            onClose={() => setAdding(false)}
          />
        ) : removed === null ? null : (
          <RequestDialog
            danger
            title={`Remove the rule ${removed.name}?`}
            action="Remove"
            request={() => rulesApi.remove(removed.name)}
            onDone={() => onDone(`Removed the rule ${removed.name}`)}
            onClose={() => setRemoved(null)}
          >
            <p>It sends no further notifications.</p>
          </RequestDialog>
        )
      }
    >
      <p className="muted">
        Report on pipelines that are launched from now on, without a callback in their scripts.
      </p>
      {rules === undefined ? (
        <QueryPlaceholder query={list} rows={3} />
      ) : rules.length === 0 ? (
        <EmptyState
          icon="bell"
          title="No notification rules"
          text="A rule tells you of failed, fixed or finished pipelines in Slack, by mail, on GitHub or by a webhook."
          example="conducto notify add alerts --slack '#builds' --on failure,fixed"
          action={add}
          docs="concepts/notifications"
        />
      ) : (
        <Table rules={rules} mayChange={mayChange} onRemove={setRemoved} onChanged={refresh} />
      )}
    </Page>
  );
}

/** Whether the user may change rules: on their machine always. */
function useMayChange(): boolean {
  const who = useQuery({
    queryKey: ["whoami"],
    queryFn: ({ signal }) => api.whoAmI(signal),
    enabled: IN_CLOUD,
  });
  return !IN_CLOUD || who.data?.permissions.includes("manage_organisation") === true;
}

interface TableProps {
  rules: readonly NotificationRule[];
  mayChange: boolean;
  onRemove: (rule: NotificationRule) => void;
  onChanged: () => void;
}

function Table({ rules, mayChange, onRemove, onChanged }: TableProps) {
  return (
    <ListTable columns={["Name", "To", "When", "Pipelines"]} actions={mayChange ? "Actions" : null}>
      {rules.map((rule) => (
        <tr key={rule.name}>
          <th scope="row">
            {rule.name}
            {rule.suspended ? (
              <div className="muted">
                Suspended: {rule.owner ?? ""} may not store it any more. It sends nothing until an
                administrator takes it over.
              </div>
            ) : null}
          </th>
          <td className={styles.wide}>
            {CHANNELS[rule.channel]} <span className="mono">{rule.to}</span>
            {rule.secret === null ? null : (
              <div className="muted">{`signed with ${rule.secret}`}</div>
            )}
          </td>
          <td className={styles.wide} data-label="When">
            {rule.on.map((one) => EVENTS[one]).join(", ")}
          </td>
          <td className={`muted ${styles.wide}`} data-label="Pipelines">
            {selection(rule)}
          </td>
          {mayChange ? (
            <td className={`list-number ${styles.action}`}>
              {rule.suspended ? (
                <TakeOverButton kind="rule" name={rule.name} onDone={onChanged} />
              ) : null}
              {rule.channel === "github" ? null : <TestButton name={rule.name} />}
              <Button
                variant="quiet"
                className="button-danger"
                aria-label={`Remove ${rule.name}`}
                onClick={() => onRemove(rule)}
              >
                Remove
              </Button>
            </td>
          ) : null}
        </tr>
      ))}
    </ListTable>
  );
}

function selection({ title, schedule }: NotificationRule): string {
  const parts = [
    ...(title === null ? [] : [`titled “${title}”`]),
    ...(schedule === null ? [] : [`of the schedule ${schedule}`]),
  ];
  return parts.length === 0 ? "all pipelines" : parts.join(", ");
}

function TestButton({ name }: { name: string }) {
  const test = useMutation({
    mutationFn: () => rulesApi.test(name),
    onSuccess: ({ error }) =>
      error === null
        ? toast(`The test message of ${name} was accepted`)
        : toast(`${name} was not sent: ${error}`, "error"),
    onError: (error) => toast(messageOf(error), "error"),
  });
  return (
    <Button
      variant="quiet"
      aria-label={`Test ${name}`}
      disabled={test.isPending}
      onClick={() => test.mutate()}
    >
      Test
    </Button>
  );
}
