import { setQuery } from "@/lib/location";
import styles from "@/programs/ProgramPage.module.css";

const COUNTS = [20, 60, 200];

interface Props {
  /** Number of known pipelines. */
  all: number;
  count: number;
}

/** Chooses the number of pipelines in the chart and the totals. */
export function RunCount({ all, count }: Props) {
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
