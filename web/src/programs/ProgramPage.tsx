import type { NodeHistory, PipelineSummary } from "@/api/schema";
import { EmptyState } from "@/components/EmptyState";
import { IN_ORDER, Pending } from "@/components/InOrder";
import { PartitionMap } from "@/partitions/PartitionMap";
import { MetricComparison } from "@/results/MetricComparison";
import { PageStatus } from "@/components/PageStatus";
import { QueryPlaceholder } from "@/components/QueryPlaceholder";
import { StaleBadge } from "@/components/StaleBadge";
import { StateLabel } from "@/components/StateIcon";
import { useTitle } from "@/components/useTitle";
import { followLink, launchUrl, pipelineUrl, useLocation } from "@/lib/location";
import { duration, moment, plural } from "@/lib/time";
import { visible } from "@/lib/visible";
import { programName, programOf } from "@/programs/model/programIdentity";
import { defaultPair, passRates, streakOf, totalsOf } from "@/programs/model/programRuns";
import { activeTime } from "@/run/model/activity";
import { pipelineState } from "@/run/model/pipelineStatus";
import { failures, total } from "@/run/model/states";
import { CostChart, CostTotal, useProgramCost } from "@/programs/ProgramCost";
import type { ProgramCost } from "@/programs/model/programCost";
import { CompareRuns } from "@/programs/CompareRuns";
import { FlakyNodes, ImageAdvice, lastOf, SizeAdvice, SlowestNodes } from "@/programs/NodeTables";
import styles from "@/programs/ProgramPage.module.css";
import { ProgramTests } from "@/test_results/ProgramTests";
import { type ChartedRun, RunChart } from "@/programs/RunChart";
import { Unused } from "@/programs/Unused";
import { DEFAULT_COUNT, RunCount, Total } from "@/programs/RunNumbers";
import { ProgramActions } from "@/programs/ProgramActions";
import { REFRESH_MS, useNodeHistory, useProgram } from "@/programs/useProgram";

/** The history of a program: pass rate, times, metrics, nodes, and a comparison of two pipelines. */
export function ProgramPage() {
  const { query } = useLocation();
  const program = programOf(query);
  const name = programName(program);
  const pipelines = useProgram(program);
  const { data } = pipelines;
  useTitle(name);
  return (
    <PageStatus error={pipelines.error}>
      <div className={`page ${styles.page ?? ""} ${IN_ORDER}`}>
        <div className="page-head">
          <h1 className="clip">{visible(name)}</h1>
          <StaleBadge query={pipelines} every={REFRESH_MS} />
          <span className="page-grow" />
          <LaunchLink newest={data?.[0]} />
        </div>
        {data === undefined ? (
          <QueryPlaceholder query={pipelines} rows={8} />
        ) : (
          <Body pipelines={data} />
        )}
      </div>
    </PageStatus>
  );
}

function LaunchLink({ newest }: { newest: PipelineSummary | undefined }) {
  return newest === undefined ? null : (
    <a className="button" href={launchUrl(newest.pipeline.id)} onClick={followLink}>
      Launch again
    </a>
  );
}

function Body({ pipelines }: { pipelines: readonly PipelineSummary[] }) {
  const { query } = useLocation();
  const history = useNodeHistory(pipelines);
  const count = Number(query.get("last") ?? "") || DEFAULT_COUNT;
  const cost = useProgramCost(pipelines.slice(0, count));
  const newest = pipelines[0];
  if (newest === undefined) {
    return (
      <EmptyState
        icon="programs"
        title="No pipelines of this program"
        text="A program is a script with a function. Its pass rate, times, tests and costs appear here once it has run."
        example="python pipeline.py --local --run"
        docs="getting-started"
      />
    );
  }
  const shown = pipelines.slice(0, count);
  const first = defaultPair(pipelines);
  const pair = {
    before: query.get("before") ?? first?.before ?? null,
    after: query.get("after") ?? first?.after ?? null,
  };
  const runs = runsOf(shown.toReversed(), pair);
  return (
    <>
      <Outcome pipelines={pipelines} />
      <Totals
        pipelines={pipelines}
        newest={newest}
        count={count}
        flaky={history.data}
        cost={cost}
      />
      <section aria-labelledby="times">
        <div className={styles.head}>
          <h2 id="times">Time of each pipeline</h2>
          <span className={styles.note}>crosses mark failed pipelines</span>
          <RunCount all={pipelines.length} count={count} />
        </div>
        <RunChart label="Time of each pipeline" runs={runs} median={totalsOf(shown).median} />
      </section>
      {cost === undefined ? <Pending /> : null}
      {cost ? <CostChart cost={cost} pipelines={shown} runs={runs} /> : null}
      <PartitionMap pipelines={pipelines} />
      <MetricComparison
        program={newest.pipeline}
        id={newest.pipeline.id}
        heading="Metrics"
        quiet
        isLive={pipelines.some(({ settled }) => !settled)}
      />
      <ProgramTests id={newest.pipeline.id} />
      <div className={styles.columns}>
        <div className={styles.nodes}>
          <FlakyNodes history={history} newest={newest.pipeline.id} />
          <SlowestNodes history={history} newest={newest.pipeline.id} />
          <SizeAdvice history={history} newest={newest.pipeline.id} />
          <ImageAdvice history={history} newest={newest.pipeline.id} />
          <ProgramActions pipelines={pipelines} />
        </div>
        {pair.before === null || pair.after === null ? null : (
          <CompareRuns pipelines={pipelines} before={pair.before} after={pair.after} />
        )}
      </div>
      <Unused pipelines={pipelines} />
    </>
  );
}

/** The sentence that says how the program fares, with the pipeline since when. */
function Outcome({ pipelines }: { pipelines: readonly PipelineSummary[] }) {
  const streak = streakOf(pipelines);
  if (streak === null) return null;
  const { failing, length, first, changed } = streak;
  const word = failing ? "Fails" : "Passes";
  const row = length === 1 ? "" : `, ${plural(length, "pipeline")} in a row`;
  const since = changed ? `${word} since ${moment(first.pipeline.created)}` : word;
  return (
    <div>
      <h2 className={styles.outcome}>{`${since}${row}`}</h2>
      {changed ? (
        <p className="muted">
          {failing ? "First bad: " : "First good: "}
          <a href={pipelineUrl(first.pipeline.id)} onClick={followLink}>
            {first.pipeline.id}
          </a>
          {failing ? ", with what changed since the last good one." : ""}
        </p>
      ) : null}
    </div>
  );
}

interface TotalsProps {
  pipelines: readonly PipelineSummary[];
  newest: PipelineSummary;
  count: number;
  flaky: NodeHistory | undefined;
  cost: ProgramCost | null | undefined;
}

function Totals({ pipelines, newest, count, flaky, cost }: TotalsProps) {
  const { finished, median, p95 } = totalsOf(pipelines.slice(0, count));
  const { rate, before } = passRates(pipelines, count);
  const failed = failures(newest.counts);
  return (
    <dl className={styles.totals}>
      <Total
        label="Pass rate"
        beside={`of ${plural(finished, "finished pipeline")}`}
        note={before === null ? "" : `${before}% in the ${count} before`}
      >
        {rate === null ? "–" : `${rate}%`}
      </Total>
      <Total label="Median time" note={p95 === null ? "" : `95% within ${duration(p95)}`}>
        {median === null ? "–" : duration(median)}
      </Total>
      <Total
        label="Newest pipeline"
        note={[
          ...(failed === 0
            ? []
            : [
                `${failed.toLocaleString("en")} of ${plural(total(newest.counts), "command")} failed`,
              ]),
          moment(newest.pipeline.created),
        ].join(", ")}
      >
        <a href={pipelineUrl(newest.pipeline.id)} onClick={followLink}>
          <StateLabel state={pipelineState(newest)} />
        </a>
      </Total>
      <CostTotal cost={cost} pipelines={pipelines.slice(0, count)} />
      <Total label="Flaky nodes" note={flaky === undefined ? "" : lastOf(flaky.pipelines.length)}>
        {flaky === undefined ? "–" : flaky.flaky_count.toLocaleString("en")}
      </Total>
    </dl>
  );
}

/** The bars of the chart; A and B mark the compared pipelines. */
function runsOf(
  pipelines: readonly PipelineSummary[],
  pair: { before: string | null; after: string | null },
): ChartedRun[] {
  const now = Date.now() / 1000;
  return pipelines.map((one) => {
    const { id, created } = one.pipeline;
    return {
      id,
      created,
      href: pipelineUrl(id),
      state: pipelineState(one),
      value: activeTime(one, one.settled ? (one.ended ?? now) : now),
      letter: id === pair.after ? "B" : id === pair.before ? "A" : "",
    };
  });
}
