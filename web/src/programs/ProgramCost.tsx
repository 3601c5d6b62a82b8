import { keepPreviousData, useQueries } from "@tanstack/react-query";

import { api } from "@/api/client";
import type { PipelineSummary } from "@/api/schema";
import { costOf, monthsOf, type ProgramCost, sumOf } from "@/programs/model/programCost";
import { programQuery } from "@/programs/model/programIdentity";
import { DOLLARS, SECONDS } from "@/programs/model/programRuns";
import styles from "@/programs/ProgramPage.module.css";
import { type ChartedRun, RunChart } from "@/programs/RunChart";
import { Total } from "@/programs/RunNumbers";

/** The cost of pipelines of a program, the newest first; undefined while it loads, null without one. */
export function useProgramCost(
  pipelines: readonly PipelineSummary[],
): ProgramCost | null | undefined {
  const newest = pipelines[0]?.pipeline;
  const settled = pipelines.find((one) => one.settled && one.started !== null);
  const program = newest === undefined ? {} : programQuery(newest);
  const months = useQueries({
    queries: monthsOf(pipelines, Date.now() / 1000).map((month) => ({
      // Read again when another pipeline has settled.
      queryKey: ["program-usage", program, month, settled?.pipeline.id, settled?.seq],
      queryFn: ({ signal }: { signal: AbortSignal }) => api.usage({ ...program, month }, signal),
      placeholderData: keepPreviousData,
      staleTime: Infinity,
    })),
  });
  if (months.some(({ isLoading }) => isLoading)) return undefined;
  const found = months.flatMap(({ data }) => data ?? []);
  return found.length === 0 || found.length < months.length ? null : costOf(found);
}

interface Props {
  cost: ProgramCost;
  /** The shown pipelines. */
  pipelines: readonly PipelineSummary[];
}

const valueIn =
  ({ of, free }: ProgramCost) =>
  (id: string) => {
    const one = of.get(id);
    return one === undefined ? null : free ? one.cpuSeconds : one.dollars;
  };

/** The sum of the shown pipelines, and the usual cost of one. */
export function CostTotal({
  cost,
  pipelines,
}: Omit<Props, "cost"> & { cost: ProgramCost | null | undefined }) {
  if (cost === null) return null;
  // It keeps its place while it is loading.
  if (cost === undefined) {
    return (
      <Total label="Cost" note="usually … a pipeline">
        …
      </Total>
    );
  }
  const { sum, usual } = sumOf(pipelines, valueIn(cost));
  const { text } = cost.free ? SECONDS : DOLLARS;
  return (
    <Total
      label={cost.free ? "CPU time" : "Cost"}
      note={usual === null ? "" : `usually ${text(usual)} a pipeline`}
    >
      {text(sum)}
    </Total>
  );
}

/** A bar for the cost of each pipeline; on the user's own machine, for its CPU time. */
export function CostChart({ cost, pipelines, runs }: Props & { runs: readonly ChartedRun[] }) {
  const valueOf = valueIn(cost);
  const title = cost.free ? "CPU time of each pipeline" : "Cost of each pipeline";
  if (runs.every(({ id }) => valueOf(id) === null)) return null;
  return (
    <section aria-labelledby="costs">
      <div className={styles.head}>
        <h2 id="costs">{title}</h2>
        <span className={styles.note}>{noteOf(cost)}</span>
      </div>
      <RunChart
        label={title}
        unit={cost.free ? SECONDS : DOLLARS}
        runs={runs.map((run) => ({ ...run, value: valueOf(run.id) }))}
        median={sumOf(pipelines, valueOf).usual}
        low
      />
    </section>
  );
}

function noteOf({ free, billed }: ProgramCost): string {
  if (free)
    return "CPUs that commands asked for, times their time; your own machine costs no money";
  return billed ? "workers, at the prices of your plan" : "estimated with AWS's prices";
}
