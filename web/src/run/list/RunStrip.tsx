import { memo, type CSSProperties, type KeyboardEvent } from "react";

import type { RunHistory } from "@/api/schema";
import { followLink, pipelineUrl } from "@/lib/location";
import { type Bar, barsOf, historyText } from "@/programs/model/runs";
import styles from "@/run/list/RunStrip.module.css";

interface Props {
  history: RunHistory;
  /** Seconds since the epoch if a bar is growing, otherwise constant. */
  now: number;
}

/**
 * Recent runs as bars whose height is the duration, linking to the runs. The strip is one tab stop;
 * arrow keys move between bars.
 */
export const RunStrip = memo(function RunStrip({ history, now }: Props) {
  const bars = barsOf(history, now);
  return (
    <div
      className={styles.runs}
      role="group"
      aria-label={`Recent runs: ${historyText(history)}`}
      title={historyText(history)}
      onKeyDown={onKeyDown}
    >
      {bars.map((bar, place) => (
        <a
          key={bar.id}
          className={`${styles.run} ${styles[bar.status]} fill-${bar.status}`}
          style={barStyle(bar)}
          href={pipelineUrl(bar.id)}
          onClick={followLink}
          title={bar.text}
          tabIndex={place === bars.length - 1 ? 0 : -1}
          aria-label={bar.text}
        />
      ))}
    </div>
  );
});

function barStyle(bar: Bar): CSSProperties {
  return { "--tall": bar.height.toFixed(2) } as CSSProperties;
}

function onKeyDown(event: KeyboardEvent): void {
  const { key, target } = event;
  if (!(target instanceof Element)) return;
  const next =
    key === "ArrowLeft"
      ? target.previousElementSibling
      : key === "ArrowRight"
        ? target.nextElementSibling
        : null;
  if (!(next instanceof HTMLElement)) return;
  event.preventDefault();
  next.focus();
}
