import { expect, test } from "vitest";

import type { BillingStatus } from "@/api/schema";
import { csvOf, daysOf, forecastText, noticeOf, reachedAt } from "@/billing/model/bill";

const DAY = 86_400;
const START = Date.UTC(2026, 10, 12) / 1000;
const NOW = START + 18 * DAY;

const PAID: BillingStatus = {
  plan: "scale",
  max_workers: 1000,
  exec_minutes: null,
  used_minutes: 0,
  workers: 31,
  status: "active",
  paying: true,
  suspended: false,
  starts: null,
  grace_until: null,
  period_start: START,
  period_end: START + 30 * DAY,
  accrued: 42,
  forecast: 70,
  limit: 80,
  grace_minutes: 15,
  vcpu_hour: 0.06,
  gb_hour: 0.0066,
  days: [{ day: "2026-11-12", vcpu_seconds: 7200, gb_seconds: 3600, dollars: 2 }],
  pipelines: [],
  more_pipelines: 0,
  more_dollars: 0,
  previous: 52.1,
  parts: null,
  email: "billing@acme.dev",
  invoices: [],
  plans: [],
};
const FREE: BillingStatus = {
  ...PAID,
  paying: false,
  plan: "free",
  exec_minutes: 1000,
  used_minutes: 588,
};

test("the headline compares the forecast with the limit", () => {
  const [headline, more] = forecastText(PAID, NOW);
  expect(headline).toBe("About $70.00 this period, within the limit of $80.00");
  expect(more).toContain(
    "The next invoice is on Dec 12, to billing@acme.dev. Last period: $52.10.",
  );
  expect(forecastText({ ...PAID, limit: 50 }, NOW)[0]).toContain("above the limit of $50.00");
  expect(forecastText({ ...PAID, limit: null }, NOW)[0]).toContain("without a limit");
  expect(forecastText({ ...PAID, forecast: null }, NOW)[0]).toBe("$42.00 so far in this period");
});

test("a free organisation reads how many minutes are left, and when there are more", () => {
  const [headline, more] = forecastText(FREE, NOW);
  expect(headline).toBe("412 of 1,000 free worker minutes left");
  expect(more).toContain("on Dec 1");
  expect(noticeOf(FREE)).toBeNull();
  expect(noticeOf({ ...FREE, used_minutes: 1000 })).toContain("used up");
  expect(noticeOf({ ...PAID, suspended: true })).toContain("nothing starts");
});

test("an amount is reached at the rate of the forecast, or not in this period", () => {
  expect(reachedAt(PAID, 56, NOW)).toBe(NOW + 6 * DAY);
  expect(reachedAt(PAID, 80, NOW)).toBeNull();
});

test("days that have no charge yet have the mean of the forecast", () => {
  const days = daysOf(PAID, NOW);
  expect(days).toHaveLength(30);
  expect(days[0]).toEqual({ key: "2026-11-12", dollars: 2, expected: false });
  expect(days[1]?.dollars).toBe(0);
  expect(days.at(-1)).toEqual({ key: "2026-12-11", dollars: 28 / 12, expected: true });
  expect(csvOf(PAID)).toBe("day,vcpu_hours,gb_hours,dollars\n2026-11-12,2,1,2\n");
});
