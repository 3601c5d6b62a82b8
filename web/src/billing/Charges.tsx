import type { ReactNode } from "react";

import type { BillingStatus, DayCharge, PipelineCharge } from "@/api/schema";
import { EmptyState } from "@/components/EmptyState";
import { followLink, pipelineUrl } from "@/lib/location";
import { count, dollars } from "@/billing/amounts";
import { type BarRow, BarTable } from "@/billing/BarTable";
import styles from "@/billing/UsagePage.module.css";

const HOUR = 3600;
const COLUMNS = ["vCPU hours", "GB hours", "Dollars"];

/** The bill of the period by day and by pipeline. */
export function Charges({ billing }: { billing: BillingStatus }) {
  if (billing.days.length === 0) return <EmptyState title="No usage in this period" />;
  const { days, pipelines, more_pipelines: more, more_dollars: rest } = billing;
  const rows = pipelines.map((one) => rowOf(one.id, pipeline(one), one));
  const numbers = ["", "", dollars(rest)];
  const others = { key: "more", name: `${more.toLocaleString("en")} more`, dollars: null, numbers };
  return (
    <div className={styles.tables}>
      <BarTable
        title="Usage by day"
        name="Day"
        columns={COLUMNS}
        rows={days
          .toReversed()
          .map((one) => rowOf(one.day, <span className="number">{one.day}</span>, one))}
      />
      <BarTable
        title="Usage by pipeline"
        name="Pipeline"
        columns={COLUMNS}
        rows={more === 0 ? rows : [...rows, others]}
      />
    </div>
  );
}

function pipeline({ id, title }: PipelineCharge): ReactNode {
  if (title === null) return <span className="muted">{`${id} (deleted)`}</span>;
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
