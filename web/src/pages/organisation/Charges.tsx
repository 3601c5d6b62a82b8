import type { ReactNode } from "react";

import type { BillingStatus, DayCharge, PipelineCharge } from "@/api/schema";
import { EmptyState } from "@/components/EmptyState";
import { followLink, pipelineUrl } from "@/lib/location";
import { count, dollars } from "@/pages/organisation/amounts";
import styles from "@/pages/organisation/Charges.module.css";
import table from "@/pages/organisation/Table.module.css";
import { PLAN } from "@/strings/organisation";

const HOUR = 3600;

/** The bill of the period by day and by pipeline. */
export function Charges({ billing }: { billing: BillingStatus }) {
  if (billing.days.length === 0) return <EmptyState title={PLAN.none} />;
  const { days, pipelines, more_pipelines: more, more_dollars: rest } = billing;
  return (
    <div className={styles.tables}>
      <ChargeTable
        title={PLAN.usageByDay}
        name={PLAN.day}
        charges={days.toReversed()}
        nameOf={date}
      />
      <ChargeTable
        title={PLAN.usageByPipeline}
        name={PLAN.pipeline}
        charges={pipelines}
        nameOf={pipeline}
        more={more === 0 ? null : [PLAN.morePipelines(more), dollars(rest)]}
      />
    </div>
  );
}

function date(charge: DayCharge): ReactNode {
  return <span className="number">{charge.day}</span>;
}

function pipeline({ id, title }: PipelineCharge): ReactNode {
  if (title === null) return <span className="muted">{PLAN.deleted(id)}</span>;
  return (
    <a href={pipelineUrl(id)} onClick={followLink} title={id}>
      {title}
    </a>
  );
}

interface ChargeTableProps<C> {
  title: string;
  name: string;
  charges: readonly C[];
  nameOf: (charge: C) => ReactNode;
  more?: [string, string] | null;
}

function ChargeTable<C extends DayCharge | PipelineCharge>(props: ChargeTableProps<C>) {
  const { title, name, charges, nameOf, more = null } = props;
  const most = Math.max(...charges.map((charge) => charge.dollars));
  return (
    <section className={table.section}>
      <h2>{title}</h2>
      <div className={`card ${table.card}`}>
        <table className="list" aria-label={title}>
          <thead>
            <tr>
              <th scope="col">{name}</th>
              <th scope="col" className={styles.bars} aria-hidden />
              {[PLAN.vcpuHours, PLAN.memoryHours].map((column) => (
                <th key={column} scope="col" className={`list-number ${styles.hours}`}>
                  {column}
                </th>
              ))}
              <th scope="col" className="list-number">
                {PLAN.dollars}
              </th>
            </tr>
          </thead>
          <tbody>
            {charges.map((charge) => (
              <tr key={"day" in charge ? charge.day : charge.id}>
                <th scope="row" className={styles.name}>
                  {nameOf(charge)}
                </th>
                <td className={styles.bars} aria-hidden>
                  <progress className={styles.bar} value={charge.dollars} max={most || 1} />
                </td>
                {[charge.vcpu_seconds, charge.gb_seconds].map((seconds, place) => (
                  <td key={place} className={`list-number number ${styles.hours}`}>
                    {count(seconds / HOUR)}
                  </td>
                ))}
                <td className="list-number number">{dollars(charge.dollars)}</td>
              </tr>
            ))}
            {more === null ? null : (
              <tr>
                <th scope="row">{more[0]}</th>
                <td className={styles.bars} aria-hidden />
                <td className={styles.hours} />
                <td className={styles.hours} />
                <td className="list-number number">{more[1]}</td>
              </tr>
            )}
          </tbody>
        </table>
      </div>
    </section>
  );
}
