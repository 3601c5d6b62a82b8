import { Button } from "@/components/Button";
import { setQuery } from "@/lib/location";
import { duration, plural } from "@/lib/time";
import type { ChartData } from "@/model/chart";
import type { Round } from "@/model/rounds";
import { RoundPicker } from "@/pages/timeline/RoundPicker";
import styles from "@/pages/timeline/Toolbar.module.css";
import { TIMELINE } from "@/strings";

interface Props {
  data: ChartData;
  rounds: readonly Round[];
  /** Index of the only round that is shown; null for all. */
  only: number | null;
  byWorker: boolean;
  isZoomed: boolean;
  onlyCritical: boolean;
  onZoomIn: () => void;
  onZoomOut: () => void;
  onShowAll: () => void;
  onOnlyCritical: (only: boolean) => void;
}

/** Row grouping, zoom and totals. */
export function Toolbar({ data, rounds, only, byWorker, isZoomed, onlyCritical, ...on }: Props) {
  const { attempts, grouped } = data;
  const active = data.rounds.reduce((sum, { from, to }) => sum + to - from, 0);
  return (
    <div className={styles.bar} role="toolbar" aria-label="Timeline">
      <RoundPicker rounds={rounds} only={only} />
      <div role="group" aria-label="Rows" className="output-streams">
        <Button aria-pressed={!byWorker} onClick={() => setQuery({ by: null }, true)}>
          By node
        </Button>
        <Button aria-pressed={byWorker} onClick={() => setQuery({ by: "worker" }, true)}>
          By worker
        </Button>
      </div>
      {grouped === null ? null : (
        <div role="group" aria-label="Nodes" className="output-streams">
          <Button aria-pressed={grouped} onClick={() => setQuery({ rows: "groups" }, true)}>
            Groups
          </Button>
          <Button aria-pressed={!grouped} onClick={() => setQuery({ rows: "all" }, true)}>
            All nodes
          </Button>
        </div>
      )}
      <Button aria-label="Zoom in" shortcut="+" onClick={on.onZoomIn}>
        +
      </Button>
      <Button aria-label="Zoom out" shortcut="-" onClick={on.onZoomOut}>
        −
      </Button>
      <Button shortcut="0" disabled={!isZoomed} onClick={on.onShowAll}>
        Reset zoom
      </Button>
      <Button
        aria-pressed={onlyCritical}
        title={TIMELINE.criticalTitle}
        onClick={() => on.onOnlyCritical(!onlyCritical)}
      >
        {TIMELINE.criticalPath}
      </Button>
      <span className="muted number">
        {plural(attempts, "attempt")}, {duration(active)}
      </span>
    </div>
  );
}
