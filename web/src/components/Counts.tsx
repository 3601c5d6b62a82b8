import { Fragment } from "react";

import type { Counts, State } from "@/api/schema";
import { stateLabel, STATES, total } from "@/model/states";

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
  const all = total(counts);
  const order: State[] = ["done", "error", "killed", "running", "queued"];
  return (
    <svg className="bar" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden>
      {order.map((state, index) => {
        const before = order.slice(0, index).reduce((sum, one) => sum + counts[one], 0);
        const share = all === 0 ? 0 : (counts[state] / all) * 100;
        const x = all === 0 ? 0 : (before / all) * 100;
        return share === 0 ? null : (
          <rect key={state} className={`fill-${state}`} x={x} y="0" width={share} height="4" />
        );
      })}
    </svg>
  );
}

/** Commands by state, as text, without the states that have none. */
export function CountsText({ counts }: { counts: Counts }) {
  const present = STATES.filter((state) => counts[state] > 0);
  if (present.length === 0) return <span className="muted">no commands</span>;
  return (
    <span className="counts-text number">
      {present.map((state) => (
        <Fragment key={state}>
          <span className={`state-${state}`}>
            {counts[state].toLocaleString("en")} {stateLabel(state)}
          </span>{" "}
        </Fragment>
      ))}
      {counts.skipped > 0 ? (
        <span className="muted">({counts.skipped.toLocaleString("en")} skipped)</span>
      ) : null}
    </span>
  );
}
