import { StaleBadge } from "@/components/StaleBadge";
import { useQuery } from "@tanstack/react-query";

import { api } from "@/api/client";
import type { AttemptRecord } from "@/api/schema";
import { duration } from "@/lib/time";
import { chartMax, MIN_DURATION, outline, resourcesText, size } from "@/results/model/resources";
import { isFinished } from "@/run/model/states";
import styles from "@/results/ResourceCharts.module.css";

const REFRESH_MS = 5000;
const WIDTH = 240;
const HEIGHT = 48;

interface Props {
  id: string;
  attempt: AttemptRecord;
}

/** CPU and memory use of an attempt, as text and charts. */
export function ResourceCharts({ id, attempt }: Props) {
  const { path, number, started, ended, state } = attempt;
  const resources = useQuery({
    queryKey: ["resources", id, path, number, state],
    queryFn: ({ signal }) => api.resources(id, { path, attempt: number }, signal),
    enabled: started !== null && (ended === null || ended - started >= MIN_DURATION),
    placeholderData: (before) => before,
    refetchInterval: isFinished(state) ? false : REFRESH_MS,
    // An older server does not support this call.
  });
  const text = resources.data === undefined ? null : resourcesText(resources.data);
  if (resources.data === undefined || text === null) return null;
  const { cpu, memory, cpu_limit, mem_limit, interval, since } = resources.data;
  const from = Math.max(0, (since ?? 0) - (started ?? 0));
  const span = { from, to: from + cpu.length * interval };
  return (
    <figure className={styles.resources} aria-label={`Resource use of attempt ${number}`}>
      <figcaption className="muted number">{text}</figcaption>
      {isFinished(state) ? null : <StaleBadge query={resources} every={REFRESH_MS} />}
      <Area what="CPUs" values={cpu} limit={cpu_limit} shown={cpuText} span={span} />
      <Area what="Memory" values={memory} limit={mem_limit} shown={size} span={span} />
    </figure>
  );
}

function cpuText(count: number): string {
  return String(Number(count.toPrecision(3)));
}

interface AreaProps {
  what: string;
  values: readonly number[];
  limit: number | null;
  shown: (value: number) => string;
  /** Seconds since the attempt started. */
  span: { from: number; to: number };
}

/** A chart. The text above has the same information. */
function Area({ what, values, limit, shown, span }: AreaProps) {
  const top = chartMax(values, limit);
  const line = limit === null ? null : HEIGHT - (limit * HEIGHT) / top;
  return (
    <div className={styles.chart} aria-hidden>
      <p className="muted number">
        <span>{what}</span>
        <span>{limit === null ? shown(top) : `limit ${shown(limit)}`}</span>
      </p>
      <svg viewBox={`0 -1 ${WIDTH} ${HEIGHT + 2}`} preserveAspectRatio="none" height={HEIGHT}>
        <path className={styles.area} d={outline(values, top, WIDTH, HEIGHT)} />
        {line === null ? null : (
          <path
            className={styles.limit}
            d={`M0 ${line}H${WIDTH}`}
            vectorEffect="non-scaling-stroke"
          />
        )}
      </svg>
      <p className="muted number">
        <span>{span.from < 0.5 ? "0s" : duration(span.from)}</span>
        <span>{duration(span.to)}</span>
      </p>
    </div>
  );
}
