import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import { messageOf } from "@/api/client";
import { organisationApi } from "@/people/api/organisation";
import type { BillingStatus } from "@/api/schema";
import { Button } from "@/components/Button";
import { FactsList } from "@/components/Facts";
import { PageStatus } from "@/components/PageStatus";
import { QueryPlaceholder } from "@/components/QueryPlaceholder";
import { toast } from "@/components/toasts";
import { useTitle } from "@/components/useTitle";
import { moment } from "@/lib/time";
import { count, dollars, price } from "@/billing/amounts";
import { Charges } from "@/billing/Charges";
import { LimitForm } from "@/billing/LimitForm";
import { OrganisationFrame } from "@/people/OrganisationFrame";
import styles from "@/billing/PlanPage.module.css";
import table from "@/people/Table.module.css";
import { useWho } from "@/people/useWho";

const KEY = ["billing"] as const;

/** The plan, the usage, the bill and the spend limit of the organisation. */
export function PlanPage() {
  const who = useWho();
  const isOff = who.query.data?.billing === false;
  const billing = useQuery({
    queryKey: KEY,
    queryFn: ({ signal }) => organisationApi.billing(signal),
    // Not at intervals: each request is an entry of the audit log.
    refetchOnWindowFocus: true,
    enabled: who.isOwner && !isOff,
  });
  useTitle("Plan and usage");
  return (
    <PageStatus error={who.query.error ?? billing.error}>
      <OrganisationFrame
        path="/organisation/plan"
        title="Plan and usage"
        actions={billing.data === undefined ? null : <Actions billing={billing.data} />}
      >
        {who.query.data === undefined ? (
          <QueryPlaceholder query={who.query} rows={4} />
        ) : !who.isOwner || isOff ? (
          <Plan
            who={who.query.data}
            note={
              who.isOwner
                ? "An administrator of the installation sets the plan: this installation does not bill."
                : "Only administrators of the organisation see this page."
            }
          />
        ) : billing.data === undefined ? (
          <QueryPlaceholder query={billing} rows={6} />
        ) : (
          <Billing billing={billing.data} />
        )}
      </OrganisationFrame>
    </PageStatus>
  );
}

/** The plan, for those who do not see the bill. */
function Plan({ who, note }: { who: { plan: string; max_workers: number }; note: string }) {
  return (
    <>
      <section className={`card ${styles.card}`}>
        <FactsList
          facts={[
            ["Plan", who.plan],
            ["Maximum number of workers", who.max_workers.toLocaleString("en")],
          ]}
        />
      </section>
      <p className="muted">{note}</p>
    </>
  );
}

/** The way to the payment provider: the page returns here. */
function Actions({ billing }: { billing: BillingStatus }) {
  const isSubscribed = billing.paying || billing.starts !== null;
  const open = useMutation({
    mutationFn: () => (isSubscribed ? organisationApi.portal() : organisationApi.checkout()),
    onSuccess: ({ url }) => location.assign(url),
    onError: (error) => toast(messageOf(error), "error"),
  });
  const isUrgent = !isSubscribed || billing.suspended || billing.grace_until !== null;
  return (
    <Button
      variant={isUrgent ? "main" : "plain"}
      disabled={open.isPending}
      onClick={() => open.mutate()}
    >
      {isSubscribed ? "Invoices and payment" : "Enable billing"}
    </Button>
  );
}

function Billing({ billing }: { billing: BillingStatus }) {
  const client = useQueryClient();
  return (
    <>
      <Notice billing={billing} />
      <div className={styles.top}>
        <section className={`card ${styles.card}`} aria-label="Plan">
          <FactsList facts={factsOf(billing)} />
          <Meter billing={billing} />
        </section>
        {billing.paying ? (
          <section className={table.section}>
            <h2>Spend limit</h2>
            <LimitForm billing={billing} onDone={(status) => client.setQueryData(KEY, status)} />
          </section>
        ) : null}
      </div>
      {billing.paying ? (
        <Charges billing={billing} />
      ) : (
        <p className="muted">
          Full scale: up to 1,000 workers at once, charged by the second.{" "}
          {`$${price(billing.vcpu_hour)} for a vCPU hour, $${price(billing.gb_hour)} for a GB hour`}
          .
        </p>
      )}
    </>
  );
}

/** Why commands wait, or will wait. */
function Notice({ billing }: { billing: BillingStatus }) {
  const text = noticeOf(billing);
  return text === null ? null : (
    <p className={styles.notice} role="alert">
      {text}
    </p>
  );
}

function noticeOf(billing: BillingStatus): string | null {
  if (billing.suspended)
    return "The spend limit is reached: nothing starts until you raise it or the period ends.";
  if (billing.starts !== null)
    return `The plan starts ${moment(billing.starts)}: the hour in which the previous subscription ended is on its invoice.`;
  if (billing.grace_until !== null)
    return `The last payment failed. The plan ends ${moment(billing.grace_until)} unless it is paid; nothing that ran is lost.`;
  const minutes = billing.exec_minutes;
  return minutes !== null && billing.used_minutes >= minutes
    ? "The free minutes of this month are used up. Commands wait until the next month, or until you enable billing."
    : null;
}

/** The share of the free minutes, or of the spend limit, that is used. */
function Meter({ billing }: { billing: BillingStatus }) {
  const [used, all, label] = billing.paying
    ? [billing.accrued, billing.limit, "Spend limit"]
    : [billing.used_minutes, billing.exec_minutes, "Worker minutes this month"];
  if (all === null) return null;
  return (
    <meter className={styles.meter} aria-label={label} value={used} max={all} high={all * 0.8} />
  );
}

function factsOf(billing: BillingStatus): [string, string][] {
  const { exec_minutes: minutes, period_start: start, period_end: end, forecast } = billing;
  const facts: [string, string][] = [
    ["Plan", billing.plan],
    [
      "Workers now",
      `${billing.workers.toLocaleString("en")} of ${billing.max_workers.toLocaleString("en")}`,
    ],
  ];
  if (minutes !== null)
    facts.push([
      "Worker minutes this month",
      `${count(billing.used_minutes)} of ${count(minutes)}`,
    ]);
  if (!billing.paying) return facts;
  facts.push(
    ["So far in this period", dollars(billing.accrued)],
    ["Forecast for the period", forecast === null ? "too early to tell" : dollars(forecast)],
    ["Spend limit", billing.limit === null ? "none" : dollars(billing.limit)],
    [
      "Prices",
      `$${price(billing.vcpu_hour)} for a vCPU hour, $${price(billing.gb_hour)} for a GB hour`,
    ],
  );
  if (start !== null && end !== null)
    facts.push(["Billing period", `${moment(start)} to ${moment(end)}`]);
  return facts;
}
