import { keepPreviousData, useQuery } from "@tanstack/react-query";

import { api } from "@/api/client";
import { dataApi, dataFileUrl } from "@/data/api/data";
import type {
  Artifact,
  AttemptRecord,
  MetricList,
  MetricSeries,
  PipelineRecord,
} from "@/api/schema";
import { Code } from "@/components/Code";
import { FileLink } from "@/components/FileLink";
import chartStyles from "@/results/MetricComparison.module.css";
import { MetricComparison } from "@/results/MetricComparison";
import { IN_ORDER } from "@/components/InOrder";
import { QueryPlaceholder } from "@/components/QueryPlaceholder";
import { StaleBadge } from "@/components/StaleBadge";
import { followLink, pipelineUrl } from "@/lib/location";
import { bytes } from "@/lib/time";
import { baseName, directoryOf, imageType } from "@/data/model/dataFiles";
import { MAX_DRAWN, metricLine, metricText } from "@/results/model/metrics";
import { isFinished } from "@/run/model/states";
import { Picture } from "@/data/Picture";
import styles from "@/results/ResultsTab.module.css";

const WIDTH = 300;
const HEIGHT = 80;
/** Time between two reads of the metrics of a running command; longer for many points. */
const REFRESH_MS = 3000;
const SLOW_REFRESH_MS = 15_000;
const MANY_POINTS = 5000;
/** Maximum number of bytes of an image that is shown in the list of artifacts. */
const IMAGE_BYTES = 4 << 20;

interface Props {
  id: string;
  attempt: AttemptRecord;
}

/** The result, metrics and artifacts of an attempt; with those of earlier pipelines. */
export function ResultsTab({ id, attempt, program }: Props & { program: PipelineRecord | null }) {
  const { outputs } = attempt;
  if (outputs === null) return null;
  return (
    <div className={`${styles.results ?? ""} ${IN_ORDER}`}>
      {outputs.result === null ? null : <Result id={id} attempt={attempt} />}
      {outputs.metrics.length === 0 ? null : <Metrics id={id} attempt={attempt} />}
      {outputs.metrics.length === 0 || program === null ? null : (
        <MetricComparison
          program={program}
          id={id}
          path={attempt.path}
          current={{ id, created: program.created }}
          isLive={!isFinished(attempt.state)}
        />
      )}
      {outputs.artifacts === 0 ? null : <Artifacts id={id} attempt={attempt} />}
    </div>
  );
}

function Result({ id, attempt: { path, number } }: Props) {
  const result = useQuery({
    queryKey: ["result", id, path, number],
    queryFn: ({ signal }) => api.result(id, { path, attempt: number }, signal),
  });
  return (
    <section>
      <h2>Result</h2>
      {result.data === undefined ? (
        <QueryPlaceholder query={result} rows={2} />
      ) : (
        <Code text={JSON.stringify(result.data.value, null, 2)} label="result" />
      )}
    </section>
  );
}

function Metrics({ id, attempt: { path, number, state } }: Props) {
  const metrics = useQuery({
    queryKey: ["metrics", id, path, number, state],
    queryFn: ({ signal }) =>
      api.metrics(
        id,
        { path, attempt: number, ...(isFinished(state) ? {} : { points: MAX_DRAWN + 1 }) },
        signal,
      ),
    // The server reads all points each time.
    refetchInterval: ({ state: { data } }) =>
      isFinished(state) ? false : hasManyPoints(data) ? SLOW_REFRESH_MS : REFRESH_MS,
    placeholderData: keepPreviousData,
  });
  return (
    <section>
      <h2>
        Metrics {isFinished(state) ? null : <StaleBadge query={metrics} every={SLOW_REFRESH_MS} />}
      </h2>
      {metrics.data === undefined ? <QueryPlaceholder query={metrics} rows={2} /> : null}
      <div className={chartStyles.charts}>
        {metrics.data?.metrics.map((series) => (
          <Metric key={series.name} series={series} />
        ))}
      </div>
    </section>
  );
}

function hasManyPoints(found: MetricList | undefined): boolean {
  return (found?.metrics ?? []).reduce((sum, { count }) => sum + count, 0) > MANY_POINTS;
}

function Metric({ series }: { series: MetricSeries }) {
  return (
    <figure className={chartStyles.chart}>
      <figcaption>
        <strong>{series.name}</strong> <span className="muted number">{metricText(series)}</span>
      </figcaption>
      {series.values.length > 1 ? (
        <svg viewBox={`0 -2 ${WIDTH} ${HEIGHT + 4}`} preserveAspectRatio="none" aria-hidden>
          <path
            className={chartStyles.current}
            d={metricLine(series, WIDTH, HEIGHT)}
            vectorEffect="non-scaling-stroke"
          />
        </svg>
      ) : null}
    </figure>
  );
}

function Artifacts({ id, attempt: { path, number, state, outputs } }: Props) {
  const artifacts = useQuery({
    queryKey: ["artifacts", id, path, number, state, outputs?.artifacts],
    queryFn: ({ signal }) => api.artifacts(id, { path, attempt: number }, signal),
    placeholderData: keepPreviousData,
  });
  return (
    <section>
      <h2>Artifacts</h2>
      {artifacts.data === undefined ? <QueryPlaceholder query={artifacts} rows={2} /> : null}
      {artifacts.data?.artifacts.map((artifact) => (
        <ArtifactEntry key={artifact.name} id={id} artifact={artifact} />
      ))}
    </section>
  );
}

function ArtifactEntry({ id, artifact }: { id: string; artifact: Artifact }) {
  const { name, title, size } = artifact;
  const place = new URLSearchParams({ dir: directoryOf(name), file: name });
  const isImage = imageType(name) !== null && size <= IMAGE_BYTES;
  return (
    <figure className={styles.artifact}>
      <figcaption>
        <a href={`${pipelineUrl(id)}/data?${place}`} onClick={followLink} title={name}>
          {title === "" ? baseName(name) : title}
        </a>
        <span className="muted number">{bytes(size)}</span>
        <FileLink href={dataFileUrl(id, name)} label={`Download ${name}`} />
      </figcaption>
      {isImage ? <ArtifactPicture id={id} artifact={artifact} /> : null}
    </figure>
  );
}

function ArtifactPicture({ id, artifact: { name, size } }: { id: string; artifact: Artifact }) {
  const content = useQuery({
    queryKey: ["data-preview", id, name, size],
    queryFn: ({ signal }) => dataApi.read(id, name, IMAGE_BYTES, signal),
  });
  if (content.data === undefined) return <QueryPlaceholder query={content} rows={3} />;
  return <Picture name={name} content={content.data} />;
}
