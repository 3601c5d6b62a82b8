/** The bill of a period as sentences and as places on a bar. Times are seconds since the epoch. */

import type { BillingStatus } from "@/api/schema";
import { count, dollars } from "@/billing/model/amounts";
import { moment } from "@/lib/time";

const DAY = 86_400;
/** Share of the limit at which the billing contact gets an e-mail. */
export const WARNING_SHARE = 0.8;

/** `Dec 10`. */
export function dayName(seconds: number): string {
  return new Date(seconds * 1000).toLocaleDateString("en", { month: "short", day: "numeric" });
}

/** Why commands wait, or will wait. */
export function noticeOf(billing: BillingStatus): string | null {
  if (billing.suspended)
    return "The spend limit is reached: nothing starts until you raise it or the period ends.";
  if (billing.starts !== null)
    return `The plan starts ${moment(billing.starts)}: the hour in which the previous subscription ended is on its invoice.`;
  if (billing.grace_until !== null)
    return `The last payment failed. The plan ends ${moment(billing.grace_until)} unless it is paid; nothing that ran is lost.`;
  const minutes = billing.exec_minutes;
  return !billing.paying && minutes !== null && billing.used_minutes >= minutes
    ? "The free minutes of this month are used up. Commands wait until the next month, or until you enable billing."
    : null;
}

/** The state of the bill, or of the free minutes, in a sentence, and one with more facts. */
export function forecastText(billing: BillingStatus, now: number): [string, string] {
  const { accrued, forecast, limit, exec_minutes: minutes, previous, email } = billing;
  const workers = `${count(billing.workers)} of ${count(billing.max_workers)} workers run now.`;
  if (!billing.paying) {
    if (minutes === null) return [`Plan ${billing.plan}: nothing is charged`, workers];
    const left = Math.max(0, minutes - billing.used_minutes);
    const next = new Date(now * 1000);
    const first = Date.UTC(next.getUTCFullYear(), next.getUTCMonth() + 1, 1) / 1000;
    return [
      `${count(left)} of ${count(minutes)} free worker minutes left`,
      `The next ${count(minutes)} are there on ${dayName(first)}. ${workers}`,
    ];
  }
  const about = forecast === null ? null : `About ${dollars(forecast)} this period`;
  const headline =
    about === null
      ? `${dollars(accrued)} so far in this period`
      : limit === null
        ? `${about}, without a limit`
        : `${about}, ${(forecast ?? 0) <= limit ? "within" : "above"} the limit of ${dollars(limit)}`;
  const end = billing.period_end;
  const invoice =
    end === null
      ? ""
      : `The next invoice is on ${dayName(end)}${email === "" ? "" : `, to ${email}`}. `;
  const last = previous === null ? "" : `Last period: ${dollars(previous)}. `;
  return [headline, `${invoice}${last}${workers}`];
}

/** When the bill reaches an amount at the same rate; null: not in this period. */
export function reachedAt(billing: BillingStatus, amount: number, now: number): number | null {
  const { accrued, forecast, period_end: end } = billing;
  if (forecast === null || end === null || amount > forecast || forecast <= accrued) return null;
  return now + ((amount - accrued) / (forecast - accrued)) * (end - now);
}

/** A column of a chart; expected amounts are in the future. */
export interface Column {
  key: string;
  dollars: number;
  expected: boolean;
}

/** The days of the billing period (UTC); those to come have the mean of the forecast. */
export function daysOf(billing: BillingStatus, now: number): Column[] {
  const { period_start: start, period_end: end, days, forecast, accrued } = billing;
  if (start === null || end === null) return [];
  const charged = new Map(days.map((one) => [one.day, one.dollars]));
  const left = Math.max(1, (end - now) / DAY);
  const expected = forecast === null ? 0 : Math.max(0, forecast - accrued) / left;
  const found: Column[] = [];
  for (let at = start - (start % DAY); at < end; at += DAY) {
    const key = new Date(at * 1000).toISOString().slice(0, 10);
    const isLater = at > now;
    found.push({ key, dollars: isLater ? expected : (charged.get(key) ?? 0), expected: isLater });
  }
  return found;
}

/** The days as CSV. */
export function csvOf(billing: BillingStatus): string {
  const rows = billing.days.map((one) =>
    [one.day, one.vcpu_seconds / 3600, one.gb_seconds / 3600, one.dollars].join(","),
  );
  return ["day,vcpu_hours,gb_hours,dollars", ...rows, ""].join("\n");
}
