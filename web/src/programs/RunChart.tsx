import { type CSSProperties, type KeyboardEvent, useId, useState } from "react";

import { placeAfter } from "@/components/Tabs";
import { followLink, navigate } from "@/lib/location";
import { day, duration, moment } from "@/lib/time";
import { axisOf } from "@/programs/model/programRuns";
import { type DisplayState, stateLabel } from "@/run/model/states";
import styles from "@/programs/RunChart.module.css";

/** Maximum number of dates below the bars. */
const MAX_DATES = 6;

/** A pipeline of a chart. */
export interface ChartedRun {
  id: string;
  created: number;
  href: string;
  state: DisplayState;
  /** Null if it did not run. */
  seconds: number | null;
  /** Shown below its bar. */
  letter?: string;
}

interface Props {
  label: string;
  /** Oldest first. */
  runs: readonly ChartedRun[];
  median: number | null;
}

/**
 * The time of each pipeline as a bar that links to it, and the median as a line. The chart is one
 * stop of the Tab key: arrow keys, Home and End choose a bar, and Enter opens its pipeline.
 */
export function RunChart({ label, runs, median }: Props) {
  const axis = axisOf(Math.max(...runs.map(({ seconds }) => seconds ?? 0), median ?? 0));
  const top = axis.at(-1) ?? 1;
  const dates = datesOf(runs);
  const names = useId();
  const [chosen, setChosen] = useState<string | null>(null);
  const found = runs.findIndex(({ id }) => id === chosen);
  const at = found < 0 ? runs.length - 1 : found;
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const place = event.key === "Enter" ? at : placeAfter(event.key, at, runs.length);
    const run = place === null ? undefined : runs[place];
    if (run === undefined) return;
    event.preventDefault();
    if (event.key === "Enter") navigate(run.href);
    else setChosen(run.id);
  };
  return (
    <div
      className={styles.chart}
      role="listbox"
      aria-orientation="horizontal"
      aria-label={label}
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
      {runs.map((run, place) => (
        <Bar
          key={run.id}
          domId={`${names}-${place}`}
          chosen={place === at}
          run={run}
          share={(run.seconds ?? 0) / top}
          date={dates[place] ?? ""}
        />
      ))}
    </div>
  );
}

interface BarProps {
  domId: string;
  chosen: boolean;
  run: ChartedRun;
  share: number;
  date: string;
}

function Bar({ domId, chosen, run, share, date }: BarProps) {
  const { id, created, href, state, seconds, letter } = run;
  const text = [
    `${id}: ${stateLabel(state)}`,
    ...(seconds === null ? [] : [duration(seconds)]),
    moment(created),
  ].join(", ");
  const hasFailed = state === "error" || state === "killed";
  return (
    <span className={styles.run}>
      <a
        id={domId}
        role="option"
        aria-selected={chosen}
        tabIndex={-1}
        className={styles.link}
        href={href}
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

/** The dates below the bars: where the day changes, at some distance from each other. */
function datesOf(runs: readonly ChartedRun[]): string[] {
  const distance = Math.max(1, Math.ceil(runs.length / MAX_DATES));
  let last = "";
  return runs.map(({ created }, place) => {
    const date = day(created);
    if (place % distance !== 0 || date === last) return "";
    last = date;
    return date;
  });
}

function tall(share: number): CSSProperties {
  return { "--tall": share.toFixed(4) } as CSSProperties;
}
