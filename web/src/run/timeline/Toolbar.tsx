import { Button } from "@/components/Button";
import segmentStyles from "@/components/Segments.module.css";
import { setQuery } from "@/lib/location";
import { duration, plural } from "@/lib/time";
import type { ChartData } from "@/run/timeline/model/chart";
import type { Round } from "@/run/timeline/model/rounds";
import { RoundPicker } from "@/run/timeline/RoundPicker";
import styles from "@/run/timeline/TimelineTools.module.css";
import { type Zoom, ZOOM_STEP } from "@/run/timeline/useZoom";

interface Props {
  data: ChartData;
  rounds: readonly Round[];
  /** Index of the only round that is shown; null for all. */
  only: number | null;
  byWorker: boolean;
  zoom: Zoom;
  onlyCritical: boolean;
  onOnlyCritical: (only: boolean) => void;
}

/** Row grouping, zoom and totals. */
export function Toolbar({ data, rounds, only, byWorker, zoom, onlyCritical, ...on }: Props) {
  const { attempts, grouped } = data;
  const active = data.rounds.reduce((sum, { round }) => sum + round.active, 0);
  return (
    <div className={styles.bar} role="toolbar" aria-label="Timeline">
      <RoundPicker rounds={rounds} only={only} />
      <div role="group" aria-label="Rows" className={segmentStyles.segments}>
        <Button aria-pressed={!byWorker} onClick={() => setQuery({ by: null }, true)}>
          By node
        </Button>
        <Button aria-pressed={byWorker} onClick={() => setQuery({ by: "worker" }, true)}>
          By worker
        </Button>
      </div>
      {grouped === null ? null : (
        <div role="group" aria-label="Nodes" className={segmentStyles.segments}>
          <Button aria-pressed={grouped} onClick={() => setQuery({ rows: "groups" }, true)}>
            Groups
          </Button>
          <Button aria-pressed={!grouped} onClick={() => setQuery({ rows: "all" }, true)}>
            All nodes
          </Button>
        </div>
      )}
      <Button aria-label="Zoom in" shortcut="+" onClick={() => zoom.by(1 / ZOOM_STEP)}>
        +
      </Button>
      <Button aria-label="Zoom out" shortcut="-" onClick={() => zoom.by(ZOOM_STEP)}>
        −
      </Button>
      <Button shortcut="0" disabled={!zoom.isZoomed} onClick={zoom.reset}>
        Reset zoom
      </Button>
      <Button
        aria-pressed={onlyCritical}
        title="The chain of commands that determines the total time"
        onClick={() => on.onOnlyCritical(!onlyCritical)}
      >
        Critical path
      </Button>
      <span className="muted number">
        {plural(attempts, "attempt")}, {duration(active)}
      </span>
    </div>
  );
}
