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
import { ORGANISATION, PLAN } from "@/people/texts/organisation";

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
  useTitle(PLAN.title);
  return (
    <PageStatus error={who.query.error ?? billing.error}>
      <OrganisationFrame
        path="/organisation/plan"
        title={PLAN.title}
        actions={billing.data === undefined ? null : <Actions billing={billing.data} />}
      >
        {who.query.data === undefined ? (
          <QueryPlaceholder query={who.query} rows={4} />
        ) : !who.isOwner || isOff ? (
          <Plan who={who.query.data} note={who.isOwner ? PLAN.noBilling : ORGANISATION.noAccess} />
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
            [PLAN.plan, who.plan],
            [PLAN.maxWorkers, who.max_workers.toLocaleString("en")],
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
      {isSubscribed ? PLAN.portal : PLAN.enable}
    </Button>
  );
}

function Billing({ billing }: { billing: BillingStatus }) {
  const client = useQueryClient();
  return (
    <>
      <Notice billing={billing} />
      <div className={styles.top}>
        <section className={`card ${styles.card}`} aria-label={PLAN.plan}>
          <FactsList facts={factsOf(billing)} />
          <Meter billing={billing} />
        </section>
        {billing.paying ? (
          <section className={table.section}>
            <h2>{PLAN.limit}</h2>
            <LimitForm billing={billing} onDone={(status) => client.setQueryData(KEY, status)} />
          </section>
        ) : null}
      </div>
      {billing.paying ? (
        <Charges billing={billing} />
      ) : (
        <p className="muted">
          {PLAN.enableHelp} {PLAN.prices(price(billing.vcpu_hour), price(billing.gb_hour))}.
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
  if (billing.suspended) return PLAN.atLimit;
  if (billing.starts !== null) return PLAN.starts(moment(billing.starts));
  if (billing.grace_until !== null) return PLAN.pastDue(moment(billing.grace_until));
  const minutes = billing.exec_minutes;
  return minutes !== null && billing.used_minutes >= minutes ? PLAN.freeLimit : null;
}

/** The share of the free minutes, or of the spend limit, that is used. */
function Meter({ billing }: { billing: BillingStatus }) {
  const [used, all, label] = billing.paying
    ? [billing.accrued, billing.limit, PLAN.limit]
    : [billing.used_minutes, billing.exec_minutes, PLAN.minutes];
  if (all === null) return null;
  return (
    <meter className={styles.meter} aria-label={label} value={used} max={all} high={all * 0.8} />
  );
}

function factsOf(billing: BillingStatus): [string, string][] {
  const { exec_minutes: minutes, period_start: start, period_end: end, forecast } = billing;
  const facts: [string, string][] = [
    [PLAN.plan, billing.plan],
    [PLAN.workers, PLAN.workersOf(billing.workers, billing.max_workers)],
  ];
  if (minutes !== null)
    facts.push([PLAN.minutes, PLAN.minutesOf(count(billing.used_minutes), count(minutes))]);
  if (!billing.paying) return facts;
  facts.push(
    [PLAN.accrued, dollars(billing.accrued)],
    [PLAN.forecast, forecast === null ? PLAN.tooEarly : dollars(forecast)],
    [PLAN.limit, billing.limit === null ? PLAN.noLimit : dollars(billing.limit)],
    [PLAN.pricesLabel, PLAN.prices(price(billing.vcpu_hour), price(billing.gb_hour))],
  );
  if (start !== null && end !== null)
    facts.push([PLAN.periodLabel, PLAN.period(moment(start), moment(end))]);
  return facts;
}
