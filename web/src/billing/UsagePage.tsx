import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { api } from "@/api/client";
import type { MonthSpent, Usage } from "@/api/schema";
import { CostBar, CostList } from "@/billing/CostBar";
import { EmptyState } from "@/components/EmptyState";
import { PageStatus } from "@/components/PageStatus";
import { QueryPlaceholder } from "@/components/QueryPlaceholder";
import { useTitle } from "@/components/useTitle";
import { dollars } from "@/lib/money";
import { sumsOf, totalOf } from "@/billing/model/costs";
import { OrganisationFrame } from "@/people/OrganisationFrame";
import { monthName, UsageByMonth } from "@/billing/UsageByMonth";
import { PipelineCosts, ProgramCosts } from "@/billing/UsageTables";
import styles from "@/billing/UsagePage.module.css";

/** The cost of the organisation's cloud pipelines, by month, program and pipeline. */
export function UsagePage() {
  const usage = useQuery({
    queryKey: ["usage"],
    queryFn: ({ signal }) => api.usage({}, signal),
  });
  const [chosen, choose] = useState<string | null>(null);
  useTitle("Usage");
  const months = usage.data?.months ?? [];
  const month = months.find((one) => one.month === chosen) ?? months[0];
  return (
    <PageStatus error={usage.error}>
      <OrganisationFrame
        path="/organisation/usage"
        title="Usage"
        actions={
          month === undefined ? null : (
            <select
              className="field"
              aria-label="Month"
              value={month.month}
              onChange={(event) => choose(event.currentTarget.value)}
            >
              {months.map((one) => (
                <option key={one.month} value={one.month}>
                  {monthName(one.month)}
                </option>
              ))}
            </select>
          )
        }
      >
        {usage.data === undefined ? (
          <QueryPlaceholder query={usage} rows={6} />
        ) : month === undefined ? (
          <EmptyState title="Nothing ran in the cloud yet">
            <p className="muted">
              Costs appear here when the first command of a cloud pipeline has ended.
            </p>
          </EmptyState>
        ) : (
          <Costs usage={usage.data} month={month} onChoose={choose} />
        )}
      </OrganisationFrame>
    </PageStatus>
  );
}

interface CostsProps {
  usage: Usage;
  month: MonthSpent;
  onChoose: (month: string) => void;
}

function Costs({ usage, month, onChoose }: CostsProps) {
  const parts = sumsOf(month);
  return (
    <>
      <div className={styles.top}>
        <section className={`card ${styles.card}`} aria-labelledby="month-cost">
          <h2 id="month-cost">{monthName(month.month)}</h2>
          <p className={`${styles.total} number`}>{dollars(totalOf(month))}</p>
          <CostBar parts={parts} />
          <CostList parts={parts} />
          {month.price === null ? null : (
            <p>{`${dollars(month.price)} on the bill of the organisation, for workers`}</p>
          )}
        </section>
        <UsageByMonth months={usage.months} chosen={month.month} onChoose={onChoose} />
      </div>
      <div className={styles.tables}>
        <ProgramCosts programs={usage.programs.filter((one) => one.month === month.month)} />
        <PipelineCosts pipelines={usage.pipelines.filter((one) => one.month === month.month)} />
      </div>
      <p className="muted">
        Computed from Conducto's records at the prices of {usage.region} as of {usage.priced}. AWS's
        bill is authoritative. Not included: data of users, reading and writing of files, images and
        their builds, logs of functions, traffic, backups and tax. Pipelines on your own machines
        cost nothing and are not listed.
      </p>
    </>
  );
}
