import { memo, type CSSProperties, type KeyboardEvent } from "react";

import type { RunHistory } from "@/api/schema";
import { followLink, pipelineUrl } from "@/lib/location";
import { type Bar, barsOf, historySummary, historyText } from "@/model/runs";

interface Props {
  history: RunHistory;
  /** The pipeline of this row. */
  id: string;
  /** Seconds since the epoch if a bar is growing, otherwise constant. */
  now: number;
}

/**
 * Recent runs as bars whose height is the duration, linking to the runs. The strip is one tab stop;
 * arrow keys move between bars.
 */
export const RunStrip = memo(function RunStrip({ history, id, now }: Props) {
  const bars = barsOf(history, now);
  const here = bars.findIndex((bar) => bar.id === id);
  const stop = here === -1 ? bars.length - 1 : here;
  return (
    <>
      <div
        className="runs"
        role="group"
        aria-label={`Recent runs: ${historyText(history)}`}
        onKeyDown={onKeyDown}
      >
        {bars.map((bar, place) => (
          <a
            key={bar.id}
            className={`run run-${bar.status} fill-${bar.status}`}
            style={barStyle(bar)}
            href={pipelineUrl(bar.id)}
            onClick={followLink}
            title={bar.text}
            tabIndex={place === stop ? 0 : -1}
            aria-current={place === here ? "true" : undefined}
          />
        ))}
      </div>
      <div className="muted ptable-small number clip" title={historyText(history)} aria-hidden>
        {historySummary(history)}
      </div>
    </>
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
