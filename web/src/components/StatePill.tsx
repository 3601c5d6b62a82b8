import { StateIcon } from "@/components/StateIcon";
import styles from "@/components/StatePill.module.css";
import { type Mark, stateLabel } from "@/run/model/states";

/** A state with its icon on its tint, and a reason: `failed, exit 1`. */
export function StatePill({ state, reason }: { state: Mark; reason?: string | null }) {
  return (
    <span className={`${styles.pill ?? ""} ${styles[state] ?? ""}`}>
      <StateIcon state={state} />
      {textOf(stateLabel(state), reason ?? null)}
    </span>
  );
}

/** The reason `killed by user` names the state already. */
function textOf(label: string, reason: string | null): string {
  if (reason === null) return label;
  return reason.startsWith(label) ? reason : `${label}, ${reason}`;
}
