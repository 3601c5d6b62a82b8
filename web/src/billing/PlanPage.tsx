import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { api, messageOf } from "@/api/client";
import type { BillingStatus, Usage, WhoAmI } from "@/api/schema";
import { BillBar, ByDay, Invoices, Parts, Plans } from "@/billing/Bill";
import { LimitDialog } from "@/billing/LimitDialog";
import { forecastText, noticeOf } from "@/billing/model/bill";
import styles from "@/billing/PlanPage.module.css";
import { ByMonth, Estimate, Savings, Spending } from "@/billing/Spending";
import { Button } from "@/components/Button";
import { EmptyState } from "@/components/EmptyState";
import { PageStatus } from "@/components/PageStatus";
import { QueryPlaceholder } from "@/components/QueryPlaceholder";
import { toast } from "@/components/toasts";
import { useNow } from "@/components/useNow";
import { useTitle } from "@/components/useTitle";
import { plural } from "@/lib/time";
import { organisationApi } from "@/people/api/organisation";
import { OrganisationFrame } from "@/people/OrganisationFrame";
import { useWho } from "@/people/useWho";

const KEY = ["billing"] as const;

/** The plan, the bill, and the cost of the organisation's cloud pipelines. */
export function PlanPage() {
  const who = useWho();
  const hasBill = who.isOwner && who.query.data?.billing === true;
  const billing = useQuery({
    queryKey: KEY,
    queryFn: ({ signal }) => organisationApi.billing(signal),
    // Not at intervals: each request is an entry of the audit log.
    refetchOnWindowFocus: true,
    enabled: hasBill,
  });
  const usage = useQuery({ queryKey: ["usage"], queryFn: ({ signal }) => api.usage({}, signal) });
  const [chosen, choose] = useState<string | null>(null);
  const months = usage.data?.months ?? [];
  const month = months.find((one) => one.month === chosen) ?? months[0] ?? null;
  useTitle("Plan and usage");
  return (
    <PageStatus error={who.query.error ?? billing.error ?? usage.error}>
      <OrganisationFrame
        path="/organisation/plan"
        title="Plan and usage"
        actions={billing.data === undefined ? null : <Provider billing={billing.data} />}
      >
        {who.query.data === undefined ? (
          <QueryPlaceholder query={who.query} rows={4} />
        ) : !hasBill ? (
          <PlanOf who={who.query.data} isOwner={who.isOwner} />
        ) : billing.data === undefined ? (
          <QueryPlaceholder query={billing} rows={6} />
        ) : (
          <Bill billing={billing.data} />
        )}
        {usage.data === undefined ? (
          <QueryPlaceholder query={usage} rows={6} />
        ) : month === null ? (
          <EmptyState
            icon="cloud"
            title="Nothing ran in the cloud yet"
            text="The cost of each month, program and pipeline appears here when the first command of a cloud pipeline has ended."
            example="python pipeline.py --cloud --run"
            docs="concepts/costs"
          />
        ) : (
          <>
            {hasBill ? null : (
              <div className={styles.pair}>
                <Estimate month={month} />
                <ByMonth months={months} chosen={month.month} onChoose={choose} />
              </div>
            )}
            <Spending usage={usage.data} month={month.month} onChoose={choose} />
          </>
        )}
        {billing.data === undefined ? null : <Plans billing={billing.data} />}
        <div className={styles.pair}>
          {usage.data === undefined ? null : <Savings usage={usage.data} />}
          {billing.data === undefined ? null : <Invoices billing={billing.data} />}
        </div>
        {usage.data === undefined ? null : (
          <Sources usage={usage.data} isPaying={billing.data?.paying === true} />
        )}
      </OrganisationFrame>
    </PageStatus>
  );
}

/** The plan, for those who do not see a bill. */
function PlanOf({ who, isOwner }: { who: WhoAmI; isOwner: boolean }) {
  return (
    <div>
      <h2 className={styles.headline}>
        {`Plan ${who.plan}: ${plural(who.max_workers, "worker")} at once`}
      </h2>
      <p className="muted">
        {isOwner
          ? "This installation does not bill: an administrator sets the plan, and its account pays AWS."
          : "Only administrators of the organisation see the bill."}
      </p>
    </div>
  );
}

/** The way to the payment provider, which returns to this page. */
function Provider({ billing }: { billing: BillingStatus }) {
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

function Bill({ billing }: { billing: BillingStatus }) {
  const client = useQueryClient();
  const now = useNow(true);
  const [isChanging, setChanging] = useState(false);
  const notice = noticeOf(billing);
  const [headline, more] = forecastText(billing, now);
  return (
    <>
      {notice === null ? null : (
        <p className={styles.notice} role="alert">
          {notice}
        </p>
      )}
      <div>
        <h2 className={styles.headline}>{headline}</h2>
        <p className="muted">{more}</p>
      </div>
      <BillBar billing={billing} now={now} onChange={() => setChanging(true)} />
      {billing.paying ? (
        <div className={styles.pair}>
          <Parts billing={billing} />
          <ByDay billing={billing} now={now} />
        </div>
      ) : null}
      {isChanging ? (
        <LimitDialog
          billing={billing}
          onClose={() => setChanging(false)}
          onDone={(status) => client.setQueryData(KEY, status)}
        />
      ) : null}
    </>
  );
}

function Sources({ usage, isPaying }: { usage: Usage; isPaying: boolean }) {
  return (
    <p className="muted">
      {isPaying
        ? "Usage is counted every 5 minutes; the invoice is authoritative. "
        : `Computed from Conducto's records at AWS's prices of ${usage.region} as of ${usage.priced}; AWS's bill is authoritative. Not included: data of users, reading and writing of files, images and their builds, logs of functions, traffic, backups and tax. `}
      Pipelines on your own machines cost nothing and are not listed.
    </p>
  );
}
