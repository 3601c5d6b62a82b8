import { useQuery } from "@tanstack/react-query";

import { api } from "@/api/client";
import { nodeLabel } from "@/run/model/shortPath";
import styles from "@/results/MetricComparison.module.css";
import type { PipelineRecord } from "@/api/schema";
import { Pending } from "@/components/InOrder";
import { QueryPlaceholder } from "@/components/QueryPlaceholder";
import { StaleBadge } from "@/components/StaleBadge";
import { followLink, pipelineUrl } from "@/lib/location";
import { parseReference } from "@/lib/references";
import { visible } from "@/lib/visible";
import {
  axisOf,
  changeText,
  type ComparisonChart,
  comparisonCharts,
  dotsOf,
} from "@/results/model/metricComparison";
import { metricLine } from "@/results/model/metrics";
import { programQuery, type ProgramRef } from "@/programs/model/programIdentity";

const WIDTH = 300;
const HEIGHT = 80;
/** Number of pipelines, and of points of each line. */
const LIMIT = 10;
const POINTS = 100;
const REFRESH_MS = 15_000;

interface Props {
  program: ProgramRef;
  /** A pipeline of the server that is asked. */
  id: string;
  /** Only metrics of this node. */
  path?: string;
  /** The pipeline to highlight, which is compared with earlier ones only. */
  current?: Pick<PipelineRecord, "id" | "created">;
  /** Whether a pipeline is running, so that values may change. */
  isLive?: boolean;
  heading?: string;
  /** Show nothing while the values are loaded. */
  quiet?: boolean;
}

/** Charts of the metrics of the last pipelines of a program; nothing if there is no earlier one. */
export function MetricComparison(props: Props) {
  const { program, id, path, current, isLive = false, quiet = false } = props;
  const { heading = "Compared with earlier pipelines" } = props;
  const query = {
    ...programQuery(program),
    limit: LIMIT,
    points: POINTS,
    ...(path === undefined ? {} : { path }),
    ...(current === undefined ? {} : { until: current.created }),
  };
  const comparison = useQuery({
    queryKey: ["metric-comparison", parseReference(id).agent, query, isLive],
    queryFn: ({ signal }) => api.compareMetrics(id, query, signal),
    refetchInterval: isLive ? REFRESH_MS : false,
  });
  const charts =
    comparison.data === undefined ? null : comparisonCharts(comparison.data, current?.id ?? null);
  if (charts?.length === 0) return null;
  if (quiet && charts === null) return comparison.isError ? null : <Pending />;
  return (
    <section>
      <h2>
        {heading} {isLive ? <StaleBadge query={comparison} every={REFRESH_MS} /> : null}
      </h2>
      {charts === null ? <QueryPlaceholder query={comparison} rows={2} /> : null}
      <div className={styles.charts}>
        {charts?.map((chart) => (
          <Chart key={`${chart.path} ${chart.name}`} chart={chart} hasPath={path === undefined} />
        ))}
      </div>
    </section>
  );
}

function Chart({ chart, hasPath }: { chart: ComparisonChart; hasPath: boolean }) {
  const hasLines = chart.runs.some(({ metric }) => metric.values.length > 1);
  const dots = dotsOf(chart);
  return (
    <figure className={styles.chart}>
      <figcaption>
        <strong>{chart.name}</strong>
        {hasPath ? <span className="muted"> {visible(nodeLabel(chart.path))}</span> : null}{" "}
        <span className="muted number">{changeText(chart)}</span>
      </figcaption>
      {hasLines ? <Lines chart={chart} /> : null}
      <div className={styles.plot}>
        <div className={styles.axis} aria-hidden>
          {axisOf(chart).map((end) => (
            <span key={end}>{end}</span>
          ))}
        </div>
        <ol className={styles.values} aria-label={`Last values of ${chart.name}`}>
          {hasLines ? null : <Trend dots={dots} />}
          {dots.map(({ pipeline, isCurrent, title, left, bottom }) => (
            <li key={pipeline} style={{ left: `${left}%`, bottom: `${bottom}%` }}>
              <a
                href={pipelineUrl(pipeline, chart.path)}
                onClick={followLink}
                title={title}
                aria-label={title}
                aria-current={isCurrent ? "true" : undefined}
              />
            </li>
          ))}
        </ol>
      </div>
    </figure>
  );
}

/** Joins the last values, if they are all that there is. */
function Trend({ dots }: { dots: ReturnType<typeof dotsOf> }) {
  const points = dots.map(({ left, bottom }) => `${left},${100 - bottom}`).join(" ");
  return (
    <li aria-hidden className={styles.trend}>
      <svg viewBox="0 0 100 100" preserveAspectRatio="none">
        <polyline points={points} vectorEffect="non-scaling-stroke" />
      </svg>
    </li>
  );
}

function Lines({ chart: { runs, domain } }: { chart: ComparisonChart }) {
  // The current one is drawn last, over the others.
  const ordered = runs.toSorted((a, b) => Number(a.isCurrent) - Number(b.isCurrent));
  return (
    <svg viewBox={`0 -2 ${WIDTH} ${HEIGHT + 4}`} preserveAspectRatio="none" aria-hidden>
      {ordered.map(({ pipeline, metric, isCurrent }) => (
        <path
          key={pipeline}
          className={styles[isCurrent ? "current" : "earlier"]}
          d={metricLine(metric, WIDTH, HEIGHT, domain)}
          vectorEffect="non-scaling-stroke"
        />
      ))}
    </svg>
  );
}
