import { StateIcon } from "@/components/StateIcon";
import styles from "@/components/StatePill.module.css";
import type { PipelineStatus } from "@/model/pipelineStatus";
import { stateLabel } from "@/model/states";

/** A state with its icon on its tint, and a reason: `failed, exit 1`. */
export function StatePill({ state, reason }: { state: PipelineStatus; reason?: string | null }) {
  const label = state === "paused" || state === "scheduled" ? state : stateLabel(state);
  const colour = state === "scheduled" ? "paused" : state;
  return (
    <span className={`${styles.pill ?? ""} ${styles[colour] ?? ""}`}>
      {state === "paused" || state === "scheduled" ? <PausedIcon /> : <StateIcon state={state} />}
      {textOf(label, reason ?? null)}
    </span>
  );
}

/** The reason `killed by user` names the state already. */
function textOf(label: string, reason: string | null): string {
  if (reason === null) return label;
  return reason.startsWith(label) ? reason : `${label}, ${reason}`;
}

function PausedIcon() {
  return (
    <svg viewBox="0 0 16 16" width="14" height="14" stroke="currentColor" aria-hidden>
      <circle cx="8" cy="8" r="5.8" fill="none" strokeWidth="1.5" />
      <path d="M6.5 6v4M9.5 6v4" strokeWidth="1.6" strokeLinecap="round" />
    </svg>
  );
}
