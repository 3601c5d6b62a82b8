import type { CSSProperties } from "react";

import type { PipelineSummary } from "@/api/schema";
import { followLink, pipelineUrl } from "@/lib/location";
import { duration, moment } from "@/lib/time";
import { activeTime } from "@/model/activity";
import { pipelineState } from "@/model/pipelineStatus";
import { stateLabel } from "@/model/states";
import styles from "@/pages/program/ProgramPage.module.css";
import { PROGRAM } from "@/strings";

interface Props {
  /** Oldest first. */
  pipelines: readonly PipelineSummary[];
  median: number | null;
}

/** The time of each pipeline as a bar that links to it, and the median as a line. */
export function RunChart({ pipelines, median }: Props) {
  const times = pipelines.map((one) => activeTime(one, one.ended ?? Date.now() / 1000) ?? 0);
  const longest = Math.max(...times, median ?? 0, 0.001);
  return (
    <div className={styles.chart} role="group" aria-label={PROGRAM.times}>
      <span className={styles.longest}>{duration(longest)}</span>
      {median === null ? null : (
        <span className={styles.median} style={heightOf(median / longest)}>
          {PROGRAM.median(duration(median))}
        </span>
      )}
      {pipelines.map((one, place) => {
        const state = pipelineState(one);
        const text = `${stateLabel(state)}, ${duration(times[place] ?? 0)}, ${moment(one.pipeline.created)}`;
        return (
          <a
            key={one.pipeline.id}
            className={`${styles.run} ${styles[state] ?? ""} fill-${state}`}
            style={heightOf((times[place] ?? 0) / longest)}
            href={pipelineUrl(one.pipeline.id)}
            onClick={followLink}
            title={text}
            aria-label={text}
          />
        );
      })}
    </div>
  );
}

function heightOf(share: number): CSSProperties {
  return { "--tall": share.toFixed(3) } as CSSProperties;
}
