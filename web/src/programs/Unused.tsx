import { useQuery } from "@tanstack/react-query";

import { api } from "@/api/client";
import type { PipelineSummary } from "@/api/schema";
import { EmptyState } from "@/components/EmptyState";
import { parseReference } from "@/lib/references";
import { duration, plural } from "@/lib/time";
import styles from "@/programs/ProgramPage.module.css";
import { useProgramTests } from "@/test_results/ProgramTests";

/** What the page could show of the program: each with the lines of a script that get it. */
export function Unused({ pipelines }: { pipelines: readonly PipelineSummary[] }) {
  const newest = pipelines[0]?.pipeline;
  const tests = useProgramTests(newest?.id ?? "").data;
  const text = newest?.program ?? newest?.title ?? "";
  const cache = useQuery({
    queryKey: ["cache-usage", text],
    queryFn: ({ signal }) => api.cacheUsage({ text: text.slice(0, MAX_TEXT) }, signal),
    // The cache of a linked agent is on its machine.
    enabled: newest !== undefined && parseReference(newest.id).agent === null,
  }).data;
  const isPartitioned = pipelines.some(
    ({ pipeline: { partition, backfill } }) => partition !== null || backfill > 0,
  );
  const saves = cache !== undefined && cache.hits > 0;
  return (
    <div className={styles.columns}>
      {isPartitioned ? null : (
        <section className="card" aria-label="Partitions">
          <EmptyState
            inline
            icon="programs"
            title="No partitions"
            text="A program that runs for each day, hour or customer shows here which of them are done, failed, stale or missing, and runs the missing ones."
            example={'co.main(default=daily, partitions=co.daily("2026-01-01"))'}
            docs="partitions"
          />
        </section>
      )}
      {tests === undefined || tests.tests.length > 0 ? null : (
        <section className="card" aria-label="Tests">
          <EmptyState
            inline
            icon="list"
            title="No test results"
            text="Failing, flaky and slow tests of all pipelines appear here once commands say where they write JUnit files."
            example={'co.Exec("pytest --junit-xml=reports/unit.xml", junit="reports/*.xml")'}
            docs="concepts/tests"
          />
        </section>
      )}
      {cache === undefined ? null : (
        <section className="card" aria-label="Cache">
          <EmptyState
            inline
            icon="data"
            title={
              saves
                ? `The cache saved ${duration(cache.seconds_saved)}`
                : cache.entries > 0
                  ? `The cache has ${plural(cache.entries, "outcome")} and saved nothing yet`
                  : "No cached commands"
            }
            text={
              saves
                ? `${plural(cache.hits, "command")} did not run, because the cache has the outcomes of the same inputs.`
                : "A command with a cache does not run again while its inputs are the same: its files, command, image and results."
            }
            {...(cache.entries > 0 ? {} : { example: 'co.Exec("python train.py", cache=True)' })}
            docs="concepts/cache"
          />
        </section>
      )}
    </div>
  );
}

/** Characters of a search in the cache. */
const MAX_TEXT = 300;
