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
import { RuleDialog } from "@/notifications/RuleDialog";
import { ListTable } from "@/people/ListTable";
import { TakeOverButton } from "@/people/TakeOverButton";
import styles from "@/people/Table.module.css";
import { RULES } from "@/notifications/texts/notificationRules";

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
  return (
    <Page
      title={RULES.title}
      error={list.error}
      actions={
        mayChange ? (
          <Button variant="main" onClick={() => setAdding(true)}>
            {RULES.add}
          </Button>
        ) : null
      }
      dialog={
        adding ? (
          <RuleDialog
            known={rules?.map(({ name }) => name) ?? []}
            onDone={(name) => onDone(RULES.stored(name))}
            onClose={() => setAdding(false)}
          />
        ) : removed === null ? null : (
          <RequestDialog
            danger
            title={RULES.deleteTitle(removed.name)}
            action={RULES.delete}
            request={() => rulesApi.remove(removed.name)}
            onDone={() => onDone(RULES.removed(removed.name))}
            onClose={() => setRemoved(null)}
          >
            <p>{RULES.deleteEffect}</p>
          </RequestDialog>
        )
      }
    >
      <p className="muted">{RULES.help}</p>
      {rules === undefined ? (
        <QueryPlaceholder query={list} rows={3} />
      ) : rules.length === 0 ? (
        <EmptyState title={RULES.none}>
          <p className="muted">{RULES.noneHelp}</p>
        </EmptyState>
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
    <ListTable
      columns={[RULES.name, RULES.to, RULES.on, RULES.pipelines]}
      actions={mayChange ? RULES.actions : null}
    >
      {rules.map((rule) => (
        <tr key={rule.name}>
          <th scope="row">
            {rule.name}
            {rule.suspended ? (
              <div className="muted">{RULES.suspended(rule.owner ?? "")}</div>
            ) : null}
          </th>
          <td className={styles.wide}>
            {RULES.channels[rule.channel]} <span className="mono">{rule.to}</span>
            {rule.secret === null ? null : <div className="muted">{RULES.signed(rule.secret)}</div>}
          </td>
          <td className={styles.wide} data-label={RULES.on}>
            {rule.on.map((one) => RULES.events[one]).join(", ")}
          </td>
          <td className={`muted ${styles.wide}`} data-label={RULES.pipelines}>
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
                aria-label={RULES.deleteLabel(rule.name)}
                onClick={() => onRemove(rule)}
              >
                {RULES.delete}
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
    ...(title === null ? [] : [RULES.titled(title)]),
    ...(schedule === null ? [] : [RULES.scheduled(schedule)]),
  ];
  return parts.length === 0 ? RULES.any : parts.join(", ");
}

function TestButton({ name }: { name: string }) {
  const test = useMutation({
    mutationFn: () => rulesApi.test(name),
    onSuccess: ({ error }) =>
      error === null ? toast(RULES.sent(name)) : toast(RULES.notSent(name, error), "error"),
    onError: (error) => toast(messageOf(error), "error"),
  });
  return (
    <Button
      variant="quiet"
      aria-label={RULES.testLabel(name)}
      disabled={test.isPending}
      onClick={() => test.mutate()}
    >
      {RULES.test}
    </Button>
  );
}
