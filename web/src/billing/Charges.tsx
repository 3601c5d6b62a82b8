import type { ReactNode } from "react";

import type { BillingStatus, DayCharge, PipelineCharge } from "@/api/schema";
import { EmptyState } from "@/components/EmptyState";
import { followLink, pipelineUrl } from "@/lib/location";
import { count, dollars } from "@/billing/amounts";
import { type BarRow, BarTable } from "@/billing/BarTable";
import styles from "@/billing/UsagePage.module.css";
import { PLAN } from "@/people/texts/organisation";

const HOUR = 3600;
const COLUMNS = [PLAN.vcpuHours, PLAN.memoryHours, PLAN.dollars];

/** The bill of the period by day and by pipeline. */
export function Charges({ billing }: { billing: BillingStatus }) {
  if (billing.days.length === 0) return <EmptyState title={PLAN.none} />;
  const { days, pipelines, more_pipelines: more, more_dollars: rest } = billing;
  const rows = pipelines.map((one) => rowOf(one.id, pipeline(one), one));
  const numbers = ["", "", dollars(rest)];
  const others = { key: "more", name: PLAN.morePipelines(more), dollars: null, numbers };
  return (
    <div className={styles.tables}>
      <BarTable
        title={PLAN.usageByDay}
        name={PLAN.day}
        columns={COLUMNS}
        rows={days
          .toReversed()
          .map((one) => rowOf(one.day, <span className="number">{one.day}</span>, one))}
      />
      <BarTable
        title={PLAN.usageByPipeline}
        name={PLAN.pipeline}
        columns={COLUMNS}
        rows={more === 0 ? rows : [...rows, others]}
      />
    </div>
  );
}

function pipeline({ id, title }: PipelineCharge): ReactNode {
  if (title === null) return <span className="muted">{PLAN.deleted(id)}</span>;
  return (
    <a href={pipelineUrl(id)} onClick={followLink} title={id}>
      {title}
    </a>
  );
}

function rowOf(key: string, name: ReactNode, charge: DayCharge | PipelineCharge): BarRow {
  const { vcpu_seconds: vcpu, gb_seconds: memory, dollars: amount } = charge;
  const numbers = [count(vcpu / HOUR), count(memory / HOUR), dollars(amount)];
  return { key, name, dollars: amount, numbers };
}
