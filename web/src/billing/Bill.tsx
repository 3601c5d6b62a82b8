import type { ReactNode } from "react";

import type { BillingStatus } from "@/api/schema";
import { count, dollars, price } from "@/billing/model/amounts";
import {
  type Column,
  csvOf,
  dayName,
  daysOf,
  reachedAt,
  WARNING_SHARE,
} from "@/billing/model/bill";
import styles from "@/billing/PlanPage.module.css";
import { Button } from "@/components/Button";
import { Icon, type IconName } from "@/components/Icon";
import { plural } from "@/lib/time";

interface BillProps {
  billing: BillingStatus;
  now: number;
}

/** The bill, or the free minutes, on one bar, with what happens along it. */
export function BillBar({ billing, now, onChange }: BillProps & { onChange: () => void }) {
  const { paying, accrued, forecast, limit, period_start: start, exec_minutes: minutes } = billing;
  if (!paying) {
    return minutes === null ? null : (
      <section className={`card ${styles.card}`} aria-label="Free minutes">
        <Amount text={`${count(billing.used_minutes)} minutes`} note="used this month" />
        <Bar
          now={billing.used_minutes}
          ahead={0}
          max={minutes}
          marks={[[minutes, `${count(minutes)} free`, "limit"]]}
        />
        <ul className={styles.steps}>
          <Step icon="pause" title={`At ${count(minutes)} minutes`}>
            Commands wait until the next month, or until you enable billing.
          </Step>
          <Step icon="play" title="With billing">
            {`${count(billing.plans.at(-1)?.max_workers ?? 0)} workers at once, ${pricesOf(billing)}, by the second.`}
          </Step>
        </ul>
      </section>
    );
  }
  const max = Math.max(limit ?? 0, forecast ?? 0, accrued, 0.01);
  const marks: Mark[] =
    limit === null
      ? []
      : [
          [limit * WARNING_SHARE, "e-mail at 80%", "warning"],
          [limit, `limit ${dollars(limit)}`, "limit"],
        ];
  return (
    <section className={`card ${styles.card}`} aria-label="Bill">
      <div className={styles.row}>
        <Amount
          text={dollars(accrued)}
          note={start === null ? "" : `since ${dayName(start)}, before tax`}
        />
        <span className="page-grow" />
        <Button onClick={onChange}>{limit === null ? "Set a limit" : "Change limit"}</Button>
      </div>
      <Bar now={accrued} ahead={forecast ?? accrued} max={max} marks={marks} />
      <Limits billing={billing} now={now} />
    </section>
  );
}

function Limits({ billing, now }: BillProps) {
  const { limit, accrued, email, grace_minutes: minutes } = billing;
  if (limit === null) return <p className="muted">Without a limit, nothing stops by itself.</p>;
  const warning = limit * WARNING_SHARE;
  const when = (amount: number) => {
    const at = reachedAt(billing, amount, now);
    if (accrued >= amount) return `${dollars(amount)}, reached`;
    return at === null
      ? `${dollars(amount)}, not expected`
      : `${dollars(amount)}, about ${dayName(at)}`;
  };
  return (
    <ul className={styles.steps}>
      <Step icon="bell" title={when(warning)}>
        {email === "" ? "An e-mail to the billing contact." : `An e-mail to ${email}.`}
      </Step>
      <Step icon="pause" title={when(limit)}>
        No command starts. Nodes wait and say why.
      </Step>
      <Step icon="close" title={`${plural(minutes, "minute")} later`}>
        Commands that still run are killed; rerun them later.
      </Step>
    </ul>
  );
}

function Amount({ text, note }: { text: string; note: string }) {
  return (
    <p className={styles.amount}>
      <strong className="number">{text}</strong> <span className="muted">{note}</span>
    </p>
  );
}

function Step({ icon, title, children }: { icon: IconName; title: string; children: ReactNode }) {
  return (
    <li>
      <Icon name={icon} />
      <strong>{title}</strong>
      <span>{children}</span>
    </li>
  );
}

type Mark = readonly [at: number, label: string, kind: "warning" | "limit"];

interface BarProps {
  now: number;
  /** The forecast. */
  ahead: number;
  max: number;
  marks: readonly Mark[];
}

function Bar({ now, ahead, max, marks }: BarProps) {
  const share = (amount: number) => `${Math.min(100, (100 * amount) / max)}%`;
  return (
    <div className={styles.bar} aria-hidden>
      <span className={styles.labels}>
        {marks.map(([at, label, kind]) => (
          <span key={kind} style={{ right: `calc(100% - ${share(at)})` }} data-kind={kind}>
            {label}
          </span>
        ))}
      </span>
      <span className={styles.track}>
        <span className={styles.ahead} style={{ width: share(ahead) }} />
        <span className={styles.now} style={{ width: share(now) }} />
        {marks.map(([at, , kind]) => (
          <i key={kind} style={{ left: share(at) }} data-kind={kind} />
        ))}
      </span>
    </div>
  );
}

/** What the charged time was used for. */
export function Parts({ billing }: { billing: BillingStatus }) {
  const { parts, days } = billing;
  if (parts === null) return null;
  const rows: [string, string, number][] = [
    ["Running commands", plural(parts.attempts, "attempt"), parts.commands],
    ["Idle workers", "started, waited, debug shells", parts.idle],
    ["Lost and killed", plural(parts.lost_attempts, "attempt"), parts.lost],
    ["Other pipelines", "not analysed", parts.others],
  ];
  const sum = (of: "vcpu_seconds" | "gb_seconds") =>
    price(days.reduce((before, day) => before + day[of], 0) / 3600);
  return (
    <section className={`card ${styles.card}`}>
      <h2>What it was for</h2>
      <dl className={styles.parts}>
        {rows
          .filter(([, , amount], place) => place < 3 || amount > 0)
          .map(([name, note, amount]) => (
            <div key={name}>
              <dt>
                {name} <span className="muted">{note}</span>
              </dt>
              <dd className="number">
                <Share amount={amount} max={billing.accrued} />
                <strong>{dollars(amount)}</strong>
              </dd>
            </div>
          ))}
      </dl>
      <p className="muted">
        {`${sum("vcpu_seconds")} vCPU hours and ${sum("gb_seconds")} GB hours: ${pricesOf(billing)}. `}
        Every second of a worker counts, at least 60. Your own machines cost nothing.
      </p>
    </section>
  );
}

/** A bar in a row. */
export function Share({ amount, max }: { amount: number; max: number }) {
  const width = `${max === 0 ? 0 : Math.min(100, (100 * amount) / max)}%`;
  return (
    <span className={styles.share} aria-hidden>
      <span style={{ width }} />
    </span>
  );
}

export function ByDay({ billing, now }: BillProps) {
  const days = daysOf(billing, now);
  return (
    <section className={`card ${styles.card}`}>
      <div className={styles.row}>
        <h2>By day</h2> <span className="muted">dashed: expected</span>
        <span className="page-grow" />
        <a
          href={`data:text/csv;charset=utf-8,${encodeURIComponent(csvOf(billing))}`}
          download="conducto-usage.csv"
        >
          Download CSV
        </a>
      </div>
      <Columns
        columns={days}
        label={`Dollars by day: ${billing.days.map((one) => `${one.day} ${dollars(one.dollars)}`).join(", ")}`}
      />
    </section>
  );
}

function Columns({ columns, label }: { columns: readonly Column[]; label: string }) {
  const max = Math.max(0.01, ...columns.map((one) => one.dollars));
  return (
    <div className={styles.columns} role="img" aria-label={label}>
      <span className={styles.most}>{dollars(max)}</span>
      {columns.map((one) => (
        <span
          key={one.key}
          title={`${one.key}: ${one.expected ? "about " : ""}${dollars(one.dollars)}`}
        >
          <i
            style={{ height: `${(100 * one.dollars) / max}%` }}
            {...(one.expected ? { "data-expected": true } : {})}
          />
        </span>
      ))}
      <span className={styles.ends}>
        <span>{nameOf(columns[0])}</span>
        <span>{nameOf(columns.at(-1))}</span>
      </span>
    </div>
  );
}

/** `Dec 10`, of a date in UTC. */
function nameOf(column: Column | undefined): string {
  return column === undefined ? "" : dayName(Date.parse(`${column.key}T12:00:00Z`) / 1000);
}

function pricesOf({ vcpu_hour: vcpu, gb_hour: gb }: BillingStatus): string {
  return `$${price(vcpu)} a vCPU hour, $${price(gb)} a GB hour`;
}

/** The plans side by side. */
export function Plans({ billing }: { billing: BillingStatus }) {
  const { plans } = billing;
  const paid = plans.length - 1;
  const rows: [string, (plan: (typeof plans)[number], place: number) => string][] = [
    ["Price", (_, place) => (place === paid ? pricesOf(billing) : "$0")],
    ["Workers at once", (plan) => count(plan.max_workers)],
    [
      "Worker minutes a month",
      (plan) => (plan.exec_minutes === null ? "any" : count(plan.exec_minutes)),
    ],
    ["Largest worker", (plan) => `${count(plan.max_cpu)} vCPU`],
    ["Active pipelines", (plan) => count(plan.max_pipelines)],
    ["Pipelines on your machines", () => "free, not metered"],
  ];
  const yours = billing.paying ? paid : 0;
  return (
    <section className={styles.section}>
      <h2>Your plan</h2>
      <div className={`card ${styles.table}`}>
        <table className="list" aria-label="Plans">
          <thead>
            <tr>
              <th scope="col">
                <span className="sr-only">Allowance</span>
              </th>
              {plans.map((plan, place) => (
                <th key={place} scope="col" {...(place === yours ? { "data-yours": true } : {})}>
                  {place === yours ? `${plan.name}, yours` : plan.name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map(([name, of]) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                {plans.map((plan, place) => (
                  <td key={place} {...(place === yours ? { "data-yours": true } : {})}>
                    {of(plan, place)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p className="muted">
        Change or cancel at any time; nothing that runs is killed, and no data is deleted.
      </p>
    </section>
  );
}

export function Invoices({ billing: { invoices } }: { billing: BillingStatus }) {
  if (invoices !== null && invoices.length === 0) return null;
  return (
    <section className={styles.section}>
      <h2>Invoices</h2>
      {invoices === null ? (
        <p className="muted">The payment provider does not respond. Reload the page later.</p>
      ) : (
        <ul className={`card ${styles.entries}`}>
          {invoices.map((one) => {
            const period = `${dayName(one.start)} – ${dayName(one.end)}`;
            return (
              <li key={one.start}>
                {one.url === null ? period : <a href={one.url}>{period}</a>}
                <span className="page-grow" />
                <span className={one.status === "paid" ? styles.paid : styles.due}>
                  {one.status}
                </span>
                <strong className="number">{dollars(one.dollars)}</strong>
              </li>
            );
          })}
        </ul>
      )}
    </section>
  );
}
