/** What each pipeline of a program cost. */

import type { PipelineSummary, Usage } from "@/api/schema";
import { quantile } from "@/programs/model/programRuns";

/** Maximum number of months that are read. */
const MAX_MONTHS = 3;

export interface RunCost {
  /** What the organisation pays, or else AWS's prices; 0 on the user's own machine. */
  dollars: number;
  cpuSeconds: number;
}

export interface ProgramCost {
  /** By pipeline. */
  of: ReadonlyMap<string, RunCost>;
  /** The amounts are on a bill; otherwise they are estimates with AWS's prices. */
  billed: boolean;
  /** Nothing costs money, so that CPU time is shown. */
  free: boolean;
}

/** The months (UTC) of the usage of pipelines, such as `2026-11`: the newest ones. */
export function monthsOf(pipelines: readonly PipelineSummary[], now: number): string[] {
  const ran = pipelines.filter(({ started }) => started !== null);
  const times = ran.flatMap((one) => [
    one.pipeline.created,
    one.settled ? (one.ended ?? one.pipeline.created) : now,
  ]);
  const months = new Set(times.map((time) => new Date(time * 1000).toISOString().slice(0, 7)));
  return [...months].toSorted().toReversed().slice(0, MAX_MONTHS);
}

/** The cost of pipelines by the usage of each month. */
export function costOf(months: readonly Usage[]): ProgramCost {
  const of = new Map<string, RunCost>();
  let billed = false;
  for (const spent of months.flatMap(({ pipelines }) => pipelines)) {
    const known = of.get(spent.id) ?? { dollars: 0, cpuSeconds: 0 };
    const services = spent.transition_dollars + spent.request_dollars + spent.storage_dollars;
    billed ||= spent.price !== null;
    of.set(spent.id, {
      dollars: known.dollars + (spent.price ?? spent.dollars + services),
      cpuSeconds: known.cpuSeconds + spent.cpu_seconds,
    });
  }
  return { of, billed, free: [...of.values()].every(({ dollars }) => dollars === 0) };
}

/** The sum of the known values of pipelines, and the usual one: the median of those that ended. */
export function sumOf(
  pipelines: readonly PipelineSummary[],
  valueOf: (id: string) => number | null,
): { sum: number; usual: number | null } {
  const known = pipelines.flatMap(({ pipeline: { id }, settled }) => {
    const value = valueOf(id);
    return value === null ? [] : [{ value, settled }];
  });
  const ended = known.filter(({ settled }) => settled).map(({ value }) => value);
  return {
    sum: known.reduce((sum, { value }) => sum + value, 0),
    usual: quantile(
      ended.toSorted((a, b) => a - b),
      0.5,
    ),
  };
}
