import type { ReactElement } from "react";

import { type DisplayState, type Mark, stateLabel } from "@/run/model/states";

/**
 * Each state has its own shape, so that colour is not needed to tell them apart. They are functions
 * because Preact links an element to the first page that shows it.
 */
const SHAPES: Record<Mark, () => ReactElement> = {
  pending: () => (
    <circle cx="8" cy="8" r="4.5" fill="none" strokeWidth="1.6" strokeDasharray="2 2.2" />
  ),
  queued: () => (
    <>
      <circle cx="8" cy="8" r="5.2" fill="none" strokeWidth="1.6" />
      <path d="M8 5.2V8l2 1.4" fill="none" strokeWidth="1.6" strokeLinecap="round" />
    </>
  ),
  running: () => (
    <>
      <circle cx="8" cy="8" r="5.2" fill="none" strokeWidth="1.8" opacity="0.3" />
      <path d="M8 2.8a5.2 5.2 0 0 1 5.2 5.2" fill="none" strokeWidth="1.8" strokeLinecap="round" />
    </>
  ),
  done: () => (
    <path
      d="M3.4 8.4l3 3 6.2-6.6"
      fill="none"
      strokeWidth="2"
      strokeLinecap="round"
      strokeLinejoin="round"
    />
  ),
  warning: () => (
    <>
      <path d="M8 2.6l6 10.6H2z" fill="none" strokeWidth="1.5" strokeLinejoin="round" />
      <path d="M8 6.6v3.2M8 11.4v.2" fill="none" strokeWidth="1.5" strokeLinecap="round" />
    </>
  ),
  error: () => (
    <>
      <circle cx="8" cy="8" r="6.4" stroke="none" className="mark-fill" />
      <path
        d="M5.7 5.7l4.6 4.6M10.3 5.7l-4.6 4.6"
        className="mark-cut"
        fill="none"
        strokeWidth="1.7"
        strokeLinecap="round"
      />
    </>
  ),
  killed: () => (
    <>
      <rect x="2.4" y="2.4" width="11.2" height="11.2" rx="2" stroke="none" className="mark-fill" />
      <path d="M5.4 8h5.2" className="mark-cut" fill="none" strokeWidth="1.8" />
    </>
  ),
  approval: () => (
    <path
      d="M6 2.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5zM1.5 13.5c0-2.5 1.8-4 4.5-4 .9 0 1.7.2 2.4.5M9.2 12.2l1.8 1.8 3.5-4"
      fill="none"
      strokeWidth="1.6"
      strokeLinecap="round"
      strokeLinejoin="round"
    />
  ),
  scheduled: () => (
    <>
      <circle cx="8" cy="8" r="5.6" fill="none" strokeWidth="1.6" />
      <path d="M8 4.8V8h2.6" fill="none" strokeWidth="1.6" strokeLinecap="round" />
    </>
  ),
  paused: () => (
    <>
      <circle cx="8" cy="8" r="5.6" fill="none" strokeWidth="1.6" />
      <path d="M6.6 6v4M9.4 6v4" fill="none" strokeWidth="1.6" strokeLinecap="round" />
    </>
  ),
  cached: () => (
    <path d="M9 2L4 9h3.6L7 14l5-7H8.4z" fill="none" strokeWidth="1.4" strokeLinejoin="round" />
  ),
  stale: () => (
    <path
      d="M2.6 8.2l2.4 2.6M7.6 10.4L13.4 3.6M7.4 14h.1M11 14h.1"
      fill="none"
      strokeWidth="1.8"
      strokeLinecap="round"
    />
  ),
  skipped: () => (
    <>
      <path
        d="M3 4.4L7.4 8 3 11.6zM8.2 4.4L12.6 8l-4.4 3.6z"
        fill="none"
        strokeWidth="1.4"
        strokeLinejoin="round"
      />
    </>
  ),
};

/** Outlines mark consequences: the groups above a failure. */
const OUTLINES: Partial<Record<Mark, () => ReactElement>> = {
  error: () => (
    <>
      <circle cx="8" cy="8" r="5.8" fill="none" strokeWidth="1.5" />
      <path d="M6 6l4 4M10 6l-4 4" fill="none" strokeWidth="1.5" strokeLinecap="round" />
    </>
  ),
  killed: () => (
    <>
      <rect x="2.6" y="2.6" width="10.8" height="10.8" rx="2" fill="none" strokeWidth="1.5" />
      <path d="M5.6 8h4.8" fill="none" strokeWidth="1.5" />
    </>
  ),
};

interface Props {
  state: Mark;
  /** No text next to it names the state. */
  label?: boolean;
  /** The state is that of a group, which follows from its commands. */
  outlined?: boolean;
}

/** The icon of a state. */
export function StateIcon({ state, label = false, outlined = false }: Props) {
  const shape = outlined ? (OUTLINES[state] ?? SHAPES[state]) : SHAPES[state];
  return (
    <svg
      className={`mark mark-${state} state-${state}`}
      viewBox="0 0 16 16"
      width="14"
      height="14"
      stroke="currentColor"
      {...(label ? { role: "img", "aria-label": stateLabel(state) } : { "aria-hidden": true })}
    >
      {label ? <title>{stateLabel(state)}</title> : null}
      {shape()}
    </svg>
  );
}

/** Icon and name of a state. */
export function StateLabel({ state }: { state: DisplayState }) {
  return (
    <span className={`state state-${state}`}>
      <StateIcon state={state} />
      {stateLabel(state)}
    </span>
  );
}
