/** The parts of a cost. */

import type { MonthSpent, PipelineCost } from "@/api/schema";
import { dollars } from "@/lib/money";

export type CostKind = "commands" | "workers" | "idle" | "requests" | "transitions" | "storage";

export interface CostPart {
  kind: CostKind;
  dollars: number;
}

type Charged = Pick<
  MonthSpent,
  "dollars" | "transition_dollars" | "request_dollars" | "storage_dollars"
>;

/** Prices are those of the organisation's subscription; null: nothing is billed. */
interface Billed {
  price: number | null;
}

export function isBilled(all: readonly Billed[]): boolean {
  return all.some((one) => one.price !== null);
}

/** The headings of amounts: what the organisation pays, if it is billed, and AWS's prices. */
export function amountHeadings(all: readonly Billed[]): string[] {
  return isBilled(all) ? ["Price", "AWS"] : ["Cost"];
}

/** The amounts below `amountHeadings`. */
export function amountsOf(price: number | null, cost: number): string[] {
  return price === null ? [dollars(cost)] : [dollars(price), dollars(cost)];
}

/** The cost of workers, transitions, requests and storage. */
export function totalOf(cost: Charged): number {
  return cost.dollars + cost.transition_dollars + cost.request_dollars + cost.storage_dollars;
}

/** The parts of a pipeline's cost; those of workers are separate. */
export function partsOf(cost: PipelineCost): CostPart[] {
  return [
    { kind: "commands", dollars: cost.dollars - cost.idle_dollars },
    { kind: "idle", dollars: cost.idle_dollars },
    ...servicesOf(cost),
  ];
}

/** The parts of the cost of several pipelines. */
export function sumsOf(cost: Charged): CostPart[] {
  return [{ kind: "workers", dollars: cost.dollars }, ...servicesOf(cost)];
}

function servicesOf(cost: Charged): CostPart[] {
  return [
    { kind: "requests", dollars: cost.request_dollars },
    { kind: "transitions", dollars: cost.transition_dollars },
    { kind: "storage", dollars: cost.storage_dollars },
  ];
}

/** The months from the oldest to the newest, with those between them that cost nothing. */
export function monthsBetween(names: readonly string[]): string[] {
  const sorted = [...names].sort();
  const last = sorted.at(-1);
  const found: string[] = [];
  for (let month = sorted[0]; month !== undefined && last !== undefined && month <= last;) {
    found.push(month);
    const [year = 0, number = 0] = month.split("-").map(Number);
    month = number === 12 ? `${year + 1}-01` : `${year}-${String(number + 1).padStart(2, "0")}`;
  }
  return found;
}

/** `November 2026`. */
export function monthName(month: string): string {
  return new Date(`${month}-01T00:00:00Z`).toLocaleDateString("en", {
    month: "long",
    year: "numeric",
    timeZone: "UTC",
  });
}

/** `+4%` against an earlier amount; `new` without one. */
export function changeText(amount: number, before: number): string {
  if (before === 0) return "new";
  const percent = Math.round((100 * (amount - before)) / before);
  return `${percent > 0 ? "+" : percent < 0 ? "−" : ""}${Math.abs(percent).toLocaleString("en")}%`;
}
