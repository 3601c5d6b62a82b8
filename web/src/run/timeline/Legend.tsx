import styles from "@/run/timeline/Legend.module.css";

/** Explains the shapes in the chart. */
export function Legend({
  groups,
  bars,
  stale,
}: {
  groups: boolean;
  bars: boolean;
  stale: boolean;
}) {
  return (
    <ul className={`${styles.legend} muted`} aria-label="Legend">
      {groups ? (
        <>
          <Item
            label="running commands over time"
            colour="queued-fill"
            fill="M0 14V9h5V2h6v4h5v5h4v3z"
          />
          <Item label="failure" colour="error-fill" stroke="M10 0v14M6 1l8 7M14 1l-8 7" />
        </>
      ) : null}
      {bars ? (
        <>
          <Item label="waiting for image" colour="wait-image" stroke={STROKES} />
          <Item label="waiting for a slot" colour="queued-fill" fill="M0 5h20v4H0z" />
          <Item label="waiting for container" colour="wait-start" stroke="M20 3H1v8h19" />
          <Item
            label="waiting for approval"
            colour="approval"
            fill="M0 5h5v4H0zM8 5h5v4H8zM16 5h4v4h-4z"
          />
          <Item label="unknown wait" colour="text-2" fill="M0 6h20v2H0z" />
          <Item label="running" colour="running-fill" fill={BAR} cut="M9 0v14M13 0v14M17 0v14" />
          <Item label="done" colour="done-fill" fill={BAR} />
          <Item
            label="from cache"
            colour="done"
            stroke="M4 .9h12v12H4zM11.5 3l-3.4 4.6 3.8-.9L8.5 11"
          />
          {stale ? (
            <Item label="stale" colour="warning" stroke="M1 1h18v12H1zM3 12L12 2M9 12l9-10" />
          ) : null}
          <Item label="failed" colour="error-fill" fill={BAR} cut="M4 4l6 6M10 4l-6 6" />
          <Item label="killed" colour="killed-fill" fill={BAR} cut="M4 7h6" />
        </>
      ) : null}
      <Item label="critical path" colour="text" fill="M0 6h20v2H0z" />
    </ul>
  );
}

const BAR = "M0 0h20v14H0z";
const STROKES = "M0 7h20M1 2v10M5 2v10M9 2v10M13 2v10M17 2v10";

interface ItemProps {
  label: string;
  /** A colour variable. */
  colour: string;
  /** Paths that are filled, stroked, and cut out. */
  fill?: string;
  stroke?: string;
  cut?: string;
}

function Item({ label, colour, fill, stroke, cut }: ItemProps) {
  return (
    <li>
      <svg viewBox="0 0 20 14" width="20" height="14" strokeWidth="1.8" fill="none" aria-hidden>
        <path d={fill} fill={`var(--${colour})`} />
        <path d={stroke} stroke={`var(--${colour})`} />
        <path d={cut} stroke="var(--surface)" />
      </svg>
      {label}
    </li>
  );
}
