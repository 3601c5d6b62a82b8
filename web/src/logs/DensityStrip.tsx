import { useMemo } from "react";

import type { LogScroll } from "@/components/LogLines";
import { plural, duration } from "@/lib/time";
import { COLUMNS, densityOf, HEIGHT, placeOf } from "@/logs/model/density";
import type { Row } from "@/logs/model/merged";
import styles from "@/logs/MergedTab.module.css";

interface Props {
  rows: readonly Row[];
  log: LogScroll;
}

/** The number of lines over time in the colours of their sources; a click goes to a time. */
export function DensityStrip({ rows, log }: Props) {
  const found = useMemo(() => densityOf(rows), [rows]);
  if (found === null) return null;
  const seen = log.virtual.calculateRange();
  const [from, until] = [seen?.startIndex ?? 0, seen?.endIndex ?? 0].map((index) =>
    placeOf(found, rows[index]?.line.time ?? 0),
  ) as [number, number];
  const width = COLUMNS * 10;
  return (
    <svg
      className={styles.density}
      viewBox={`0 0 ${width} ${HEIGHT}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={`${plural(rows.length, "line")} over ${duration(found.until - found.from)}`}
      onClick={({ clientX, currentTarget }) => {
        const box = currentTarget.getBoundingClientRect();
        const time = found.from + ((clientX - box.left) / box.width) * (found.until - found.from);
        const at = rows.findIndex(({ line }) => line.time >= time);
        log.scrollTo(at < 0 ? rows.length - 1 : at);
      }}
    >
      <title>Lines over time: click to go there</title>
      <rect
        className={styles.seen}
        x={from * width}
        width={Math.max(10, (until - from) * width)}
        height={HEIGHT}
      />
      {found.bands.map(({ colour, path }) => (
        <path key={colour} d={path} fill={colour} />
      ))}
    </svg>
  );
}
