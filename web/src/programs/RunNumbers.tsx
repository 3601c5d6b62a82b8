import type { ReactNode } from "react";

import { setQuery } from "@/lib/location";
import styles from "@/programs/ProgramPage.module.css";

/** Numbers of pipelines that a history can have. */
const COUNTS = [20, 60, 200];
export const DEFAULT_COUNT = 60;

interface TotalProps {
  label: string;
  beside?: string;
  note: string;
  children: ReactNode;
}

/** A number of a history, with what it is about. */
export function Total({ label, beside, note, children }: TotalProps) {
  return (
    <div>
      <dt>{label}</dt>
      <dd>
        <span className={styles.value}>{children}</span>{" "}
        {beside === undefined ? null : <span className={styles.note}>{beside}</span>}
      </dd>
      <dd className={styles.note}>{note}</dd>
    </div>
  );
}

interface RunCountProps {
  /** Number of known pipelines, or of those that were asked for. */
  all: number;
  count: number;
}

/** Chooses the number of pipelines of a history. */
export function RunCount({ all, count }: RunCountProps) {
  const choices = COUNTS.filter((_, place) => place === 0 || all > (COUNTS[place - 1] ?? 0));
  if (choices.length < 2) return null;
  return (
    <div role="group" aria-label="Number of pipelines" className={styles.counts}>
      {choices.map((one) => (
        <button
          key={one}
          type="button"
          aria-pressed={one === count}
          onClick={() => setQuery({ last: String(one) }, true)}
        >
          {one}
        </button>
      ))}
    </div>
  );
}
