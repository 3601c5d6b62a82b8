import { memo, type CSSProperties, type KeyboardEvent } from "react";

import type { RunHistory } from "@/api/schema";
import { followLink, pipelineUrl } from "@/lib/location";
import { type Bar, barsOf, historyShort, historyText } from "@/model/runs";

interface Props {
  history: RunHistory;
  /** Whose row it is. */
  id: string;
  /** Seconds since the epoch, where a bar grows; else anything that keeps still. */
  now: number;
}

/**
 * The newest runs of a pipeline: a bar for each, as high as it took, that leads to it. One stop of
 * the Tab key; the arrow keys go from bar to bar.
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
        aria-label={`Last runs: ${historyText(history)}`}
        onKeyDown={goAlong}
      >
        {bars.map((bar, place) => (
          <a
            key={bar.id}
            className={`run run-${bar.look}`}
            style={tall(bar)}
            href={pipelineUrl(bar.id)}
            onClick={followLink}
            title={bar.text}
            tabIndex={place === stop ? 0 : -1}
            aria-current={place === here ? "true" : undefined}
          />
        ))}
      </div>
      <div className="muted ptable-small number clip" title={historyText(history)} aria-hidden>
        {historyShort(history)}
      </div>
    </>
  );
});

function tall(bar: Bar): CSSProperties {
  return { "--tall": bar.height.toFixed(2) } as CSSProperties;
}

function goAlong(event: KeyboardEvent): void {
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
