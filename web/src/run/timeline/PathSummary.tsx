import type { CSSProperties } from "react";

import { followLink, pipelineUrl } from "@/lib/location";
import { duration } from "@/lib/time";
import { visible } from "@/lib/visible";
import type { UsualTimes } from "@/run/live/useUsual";
import { bottleneck, type CriticalPath, type Segment } from "@/run/timeline/model/criticalPath";
import { nameOf } from "@/run/model/paths";
import styles from "@/run/timeline/PathSummary.module.css";

const WAITS = {
  image: "image",
  turn: "wait for a slot",
  limit: "wait for a limit",
  start: "container",
  approval: "wait for approval",
  unknown: "wait",
};

/** Number of segments that are drawn, the longest ones. */
const MAX_SEGMENTS = 12;
/** Segments with a smaller share have no text. */
const MIN_LABELLED = 0.05;

interface Props {
  id: string;
  path: CriticalPath;
  /** The name of the round. */
  label: string;
  usual: UsualTimes;
}

/** Describes the critical path of a round: its bottleneck, running time and waiting time. */
export function PathSummary({ id, path, label, usual }: Props) {
  const found = bottleneck(path, label, usual.of);
  if (found === null) return null;
  return (
    <section className={styles.summary} aria-label="Critical path">
      <p className={`${styles.text} number`}>
        <strong>{`Critical path of ${label}: ${duration(path.seconds)}`}</strong>{" "}
        {`${duration(path.running)} running, ${duration(path.waiting)} waiting.`}{" "}
        {"The bottleneck is"}{" "}
        {found.path === null ? (
          found.name
        ) : (
          <a href={pipelineUrl(id, found.path)} onClick={followLink}>
            {visible(found.name)}
          </a>
        )}
        : {found.share}. {found.hint}
      </p>
      <div className={styles.segments}>
        {shownOf(path).map((segment, at) => (
          <Piece
            key={at}
            id={id}
            segment={segment}
            share={segment.seconds / path.seconds}
            isBottleneck={segment.kind === "run" && segment.bar.path === found.path}
          />
        ))}
      </div>
    </section>
  );
}

/** The longest segments, in order. */
function shownOf({ segments }: CriticalPath): readonly Segment[] {
  const longest = segments.toSorted((a, b) => b.seconds - a.seconds).slice(0, MAX_SEGMENTS);
  return segments.filter((segment) => longest.includes(segment));
}

interface PieceProps {
  id: string;
  segment: Segment;
  share: number;
  isBottleneck: boolean;
}

function Piece({ id, segment: { kind, bar, seconds }, share, isBottleneck }: PieceProps) {
  const name = kind === "run" ? visible(nameOf(bar.path)) : WAITS[kind];
  const text = `${name} ${duration(seconds)}`;
  const grow: CSSProperties = { flexGrow: Math.max(1, Math.round(share * 1000)) };
  const look = isBottleneck ? styles.bottleneck : kind === "run" ? "" : styles[kind];
  return (
    <a
      href={pipelineUrl(id, bar.path)}
      onClick={followLink}
      className={`${styles.segment} ${look ?? ""} clip`}
      style={grow}
      title={`${visible(bar.path)}: ${text}`}
    >
      {share < MIN_LABELLED ? (
        <span className="sr-only">{text}</span>
      ) : (
        <span className={styles.label}>{text}</span>
      )}
    </a>
  );
}
