import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { api, messageOf } from "@/api/client";
import { IN_CLOUD } from "@/api/deployment";
import { rulesApi } from "@/api/notificationRules";
import type { NotificationRule } from "@/api/schema";
import { Button } from "@/components/Button";
import { ConfirmDialog } from "@/components/ConfirmDialog";
import { EmptyState } from "@/components/EmptyState";
import { PageStatus } from "@/components/PageStatus";
import { QueryPlaceholder } from "@/components/QueryPlaceholder";
import { toast } from "@/components/toasts";
import { useTitle } from "@/components/useTitle";
import { RuleDialog } from "@/pages/notifications/RuleDialog";
import styles from "@/pages/organisation/Table.module.css";
import { RULES } from "@/strings/notificationRules";

const KEY = ["notification-rules"] as const;

/** The rules that send notifications: of the organisation, or of this machine. */
export function NotificationsPage() {
  const client = useQueryClient();
  const [adding, setAdding] = useState(false);
  const [removed, setRemoved] = useState<NotificationRule | null>(null);
  const list = useQuery({ queryKey: KEY, queryFn: ({ signal }) => rulesApi.list(signal) });
  const mayChange = useMayChange();
  useTitle(RULES.title);
  const rules = list.data?.rules;
  const onDone = (message: string) => {
    setAdding(false);
    setRemoved(null);
    toast(message);
    void client.invalidateQueries({ queryKey: KEY });
  };
  return (
    <PageStatus error={list.error}>
      <div className="page">
        <div className="page-head">
          <h1>{RULES.title}</h1>
          <span className="page-grow" />
          {mayChange ? (
            <Button variant="main" onClick={() => setAdding(true)}>
              {RULES.add}
            </Button>
          ) : null}
        </div>
        <p className="muted">{RULES.help}</p>
        {rules === undefined ? (
          <QueryPlaceholder query={list} rows={3} />
        ) : rules.length === 0 ? (
          <EmptyState title={RULES.none}>
            <p className="muted">{RULES.noneHelp}</p>
          </EmptyState>
        ) : (
          <Table rules={rules} mayChange={mayChange} onRemove={setRemoved} />
        )}
      </div>
      {adding ? (
        <RuleDialog
          known={rules?.map(({ name }) => name) ?? []}
          onDone={(name) => onDone(RULES.stored(name))}
          onClose={() => setAdding(false)}
        />
      ) : null}
      {removed === null ? null : (
        <RemoveDialog
          name={removed.name}
          onDone={() => onDone(RULES.removed(removed.name))}
          onClose={() => setRemoved(null)}
        />
      )}
    </PageStatus>
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
}

function Table({ rules, mayChange, onRemove }: TableProps) {
  return (
    <div className={`card ${styles.card}`}>
      <table className={`list ${styles.stack}`}>
        <thead>
          <tr>
            <th scope="col">{RULES.name}</th>
            <th scope="col">{RULES.to}</th>
            <th scope="col">{RULES.on}</th>
            <th scope="col">{RULES.pipelines}</th>
            {mayChange ? (
              <th scope="col">
                <span className="sr-only">{RULES.actions}</span>
              </th>
            ) : null}
          </tr>
        </thead>
        <tbody>
          {rules.map((rule) => (
            <tr key={rule.name}>
              <th scope="row">{rule.name}</th>
              <td className={styles.wide}>
                {RULES.channels[rule.channel]} <span className="mono">{rule.to}</span>
                {rule.secret === null ? null : (
                  <div className="muted">{RULES.signed(rule.secret)}</div>
                )}
              </td>
              <td className={styles.wide} data-label={RULES.on}>
                {rule.on.map((one) => RULES.events[one]).join(", ")}
              </td>
              <td className={`muted ${styles.wide}`} data-label={RULES.pipelines}>
                {selection(rule)}
              </td>
              {mayChange ? (
                <td className={`list-number ${styles.action}`}>
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
        </tbody>
      </table>
    </div>
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

interface RemoveProps {
  name: string;
  onDone: () => void;
  onClose: () => void;
}

function RemoveDialog({ name, onDone, onClose }: RemoveProps) {
  const remove = useMutation({ mutationFn: () => rulesApi.remove(name), onSuccess: onDone });
  return (
    <ConfirmDialog
      danger
      title={RULES.deleteTitle(name)}
      action={RULES.delete}
      disabled={remove.isPending}
      error={remove.error}
      onConfirm={() => remove.mutate()}
      onClose={onClose}
    >
      <p>{RULES.deleteEffect}</p>
    </ConfirmDialog>
  );
}
