import { type CSSProperties, type KeyboardEvent, useId, useState } from "react";

import type { PipelineSummary } from "@/api/schema";
import { placeAfter } from "@/components/Tabs";
import { followLink, navigate, pipelineUrl } from "@/lib/location";
import { day, duration, moment } from "@/lib/time";
import { activeTime } from "@/run/model/activity";
import { axisOf } from "@/programs/model/programRuns";
import { pipelineState } from "@/run/model/pipelineStatus";
import { stateLabel } from "@/run/model/states";
import styles from "@/programs/RunChart.module.css";

/** Maximum number of dates below the bars. */
const MAX_DATES = 6;

interface Props {
  /** Oldest first. */
  pipelines: readonly PipelineSummary[];
  median: number | null;
  /** The compared pipelines, marked with A and B. */
  pair: { before: string | null; after: string | null };
}

/**
 * The time of each pipeline as a bar that links to it, and the median as a line. The chart is one
 * stop of the Tab key: arrow keys, Home and End choose a bar, and Enter opens its pipeline.
 */
export function RunChart({ pipelines, median, pair }: Props) {
  const now = Date.now() / 1000;
  const times = pipelines.map(
    (one) => activeTime(one, one.settled ? (one.ended ?? now) : now) ?? 0,
  );
  const axis = axisOf(Math.max(...times, median ?? 0));
  const top = axis.at(-1) ?? 1;
  const dates = datesOf(pipelines);
  const names = useId();
  const [chosen, setChosen] = useState<string | null>(null);
  const found = pipelines.findIndex((one) => one.pipeline.id === chosen);
  const at = found < 0 ? pipelines.length - 1 : found;
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const place = event.key === "Enter" ? at : placeAfter(event.key, at, pipelines.length);
    const id = place === null ? undefined : pipelines[place]?.pipeline.id;
    if (id === undefined) return;
    event.preventDefault();
    if (event.key === "Enter") navigate(pipelineUrl(id));
    else setChosen(id);
  };
  return (
    <div
      className={styles.chart}
      role="listbox"
      aria-orientation="horizontal"
      aria-label="Time of each pipeline"
      aria-activedescendant={`${names}-${at}`}
      tabIndex={0}
      onKeyDown={onKeyDown}
    >
      {axis.map((seconds) => (
        <span key={seconds} className={styles.line} style={tall(seconds / top)} aria-hidden>
          {seconds === 0 ? "0" : duration(seconds).replace(".0s", "s")}
        </span>
      ))}
      {median === null ? null : (
        <span className={styles.median} style={tall(median / top)} aria-hidden>
          <span>{`median ${duration(median)}`}</span>
        </span>
      )}
      {pipelines.map((one, place) => (
        <Bar
          key={one.pipeline.id}
          domId={`${names}-${place}`}
          chosen={place === at}
          pipeline={one}
          seconds={times[place] ?? 0}
          share={(times[place] ?? 0) / top}
          letter={letterOf(one.pipeline.id, pair)}
          date={dates[place] ?? ""}
        />
      ))}
    </div>
  );
}

interface BarProps {
  domId: string;
  chosen: boolean;
  pipeline: PipelineSummary;
  seconds: number;
  share: number;
  letter: string;
  date: string;
}

function Bar({ domId, chosen, pipeline, seconds, share, letter, date }: BarProps) {
  const state = pipelineState(pipeline);
  const { id, created } = pipeline.pipeline;
  const text = `${id}: ${stateLabel(state)}, ${duration(seconds)}, ${moment(created)}`;
  const hasFailed = state === "error" || state === "killed";
  return (
    <span className={styles.run}>
      <a
        id={domId}
        role="option"
        aria-selected={chosen}
        tabIndex={-1}
        className={styles.link}
        href={pipelineUrl(id)}
        onClick={followLink}
        title={text}
        aria-label={text}
      >
        <span
          className={`${styles.bar} ${hasFailed ? styles.failed : ""} fill-${state}`}
          style={tall(share)}
        />
      </a>
      <span className={styles.date} aria-hidden>
        {date}
      </span>
      <span className={styles.letter} aria-hidden>
        {letter}
      </span>
    </span>
  );
}

function letterOf(id: string, { before, after }: Props["pair"]): string {
  return id === after ? "B" : id === before ? "A" : "";
}

/** The dates below the bars: where the day changes, at some distance from each other. */
function datesOf(pipelines: readonly PipelineSummary[]): string[] {
  const distance = Math.max(1, Math.ceil(pipelines.length / MAX_DATES));
  let last = "";
  return pipelines.map(({ pipeline }, place) => {
    const date = day(pipeline.created);
    if (place % distance !== 0 || date === last) return "";
    last = date;
    return date;
  });
}

function tall(share: number): CSSProperties {
  return { "--tall": share.toFixed(4) } as CSSProperties;
}
