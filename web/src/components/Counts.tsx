import { Fragment } from "react";

import type { Counts, State } from "@/api/schema";
import styles from "@/components/Counts.module.css";
import { barOf } from "@/run/model/columns";
import { stateLabel, STATES } from "@/run/model/states";

/** Letters of the state columns. */
export const LETTERS: Record<State, string> = {
  pending: "P",
  queued: "Q",
  running: "R",
  done: "D",
  error: "F",
  killed: "K",
};

/** Commands by state, as a stacked bar. */
export function CountsBar({ counts }: { counts: Counts }) {
  return (
    <svg className={styles.bar} viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden>
      {barOf(counts).map(({ state, from, share }) => (
        <rect key={state} className={`fill-${state}`} x={from} y="0" width={share} height="4" />
      ))}
    </svg>
  );
}

/** Commands by state, as text, without the states that have none. */
export function CountsText({ counts }: { counts: Counts }) {
  const present = STATES.filter((state) => counts[state] > 0);
  if (present.length === 0) return <span className="muted">no commands</span>;
  return (
    <span className={`${styles.text} number`}>
      {present.map((state) => (
        <Fragment key={state}>
          <span className={`state-${state}`}>
            {counts[state].toLocaleString("en")} {stateLabel(state)}
          </span>{" "}
        </Fragment>
      ))}
      {counts.skipped > 0 ? (
        <span className="muted">{`(${counts.skipped.toLocaleString("en")} skipped)`}</span>
      ) : null}
    </span>
  );
}
