import { type CSSProperties, type KeyboardEvent, useId, useState } from "react";

import { placeAfter } from "@/components/Tabs";
import { followLink, navigate } from "@/lib/location";
import { day, moment } from "@/lib/time";
import { SECONDS, type Unit } from "@/programs/model/programRuns";
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
  value: number | null;
  /** Shown below its bar. */
  letter?: string;
}

interface Props {
  label: string;
  /** Oldest first. */
  runs: readonly ChartedRun[];
  median: number | null;
  unit?: Unit;
  /** The id of a run, and what changed with it. */
  since?: { id: string; text: string } | null;
  low?: boolean;
}

/**
 * A value of each pipeline as a bar that links to it, and the median as a line. The chart is one
 * stop of the Tab key: arrow keys, Home and End choose a bar, and Enter opens its pipeline.
 */
export function RunChart({
  label,
  runs,
  median,
  unit = SECONDS,
  since = null,
  low = false,
}: Props) {
  const axis = unit.axis(Math.max(...runs.map(({ value }) => value ?? 0), median ?? 0));
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
      className={`${styles.chart} ${low ? styles.low : ""}`}
      role="listbox"
      aria-orientation="horizontal"
      aria-label={label}
      aria-activedescendant={`${names}-${at}`}
      tabIndex={0}
      onKeyDown={onKeyDown}
    >
      {axis.map((value) => (
        <span key={value} className={styles.line} style={tall(value / top)} aria-hidden>
          {value === 0 ? "0" : unit.text(value).replace(".0s", "s")}
        </span>
      ))}
      {median === null ? null : (
        <span className={styles.median} style={tall(median / top)} aria-hidden>
          <span>{`median ${unit.text(median)}`}</span>
        </span>
      )}
      {runs.map((run, place) => (
        <Bar
          key={run.id}
          domId={`${names}-${place}`}
          chosen={place === at}
          run={run}
          text={run.value === null ? null : unit.text(run.value)}
          since={run.id === since?.id ? since.text : null}
          early={place < runs.length / 2}
          share={(run.value ?? 0) / top}
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
  /** The value. */
  text: string | null;
  since: string | null;
  /** In the left half. */
  early: boolean;
  share: number;
  date: string;
}

function Bar({ domId, chosen, run, text, since, early, share, date }: BarProps) {
  const { id, created, href, state, letter } = run;
  const title = [
    `${id}: ${stateLabel(state)}`,
    ...(text === null ? [] : [text]),
    moment(created),
    ...(since === null ? [] : [since]),
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
        title={title}
        aria-label={title}
      >
        <span
          className={`${styles.bar} ${hasFailed ? styles.failed : ""} fill-${state}`}
          style={tall(share)}
        />
      </a>
      {since === null ? null : (
        <span className={styles.since} data-early={early} aria-hidden>
          <span>{since}</span>
        </span>
      )}
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
