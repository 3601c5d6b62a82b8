import type { MonthSpent } from "@/api/schema";
import { dollars } from "@/lib/money";
import { isBilled, monthsBetween, totalOf } from "@/billing/model/costs";
import styles from "@/billing/UsagePage.module.css";

interface Props {
  months: readonly MonthSpent[];
  chosen: string;
  onChoose: (month: string) => void;
}

/** The price of each month, or AWS's if nothing is billed, as a bar; one is chosen. */
export function UsageByMonth({ months, chosen, onChoose }: Props) {
  const costs = new Map(months.map((one) => [one.month, one.price ?? totalOf(one)]));
  const heading = isBilled(months) ? "Price by month" : "By month";
  const max = Math.max(Number.MIN_VALUE, ...costs.values());
  return (
    <section className={`card ${styles.card}`} aria-labelledby="by-month">
      <h2 id="by-month">{heading}</h2>
      <ul className={styles.months}>
        {monthsBetween([...costs.keys()]).map((month) => {
          const cost = costs.get(month) ?? 0;
          const height = `${(cost / max) * 100}%`;
          return (
            <li key={month}>
              <button
                type="button"
                className={styles.month}
                aria-pressed={month === chosen}
                title={monthName(month)}
                disabled={!costs.has(month)}
                onClick={() => onChoose(month)}
              >
                <span className={`${styles.amount} number`}>{cost === 0 ? "" : dollars(cost)}</span>
                <span className={styles.column}>
                  <span className={styles.filled} style={{ height }} />
                </span>
                <span className={styles.name}>{shortName(month)}</span>
              </button>
            </li>
          );
        })}
      </ul>
    </section>
  );
}

/** `November 2026`. */
export function monthName(month: string): string {
  return formatted(month, { month: "long", year: "numeric" });
}

function shortName(month: string): string {
  return formatted(month, { month: "short" });
}

function formatted(month: string, options: Intl.DateTimeFormatOptions): string {
  return new Date(`${month}-01T00:00:00Z`).toLocaleDateString("en", {
    ...options,
    timeZone: "UTC",
  });
}
