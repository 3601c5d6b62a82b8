import { Button } from "@/components/Button";
import { setQuery } from "@/lib/location";
import { duration, plural } from "@/lib/time";
import type { Bar, ChartData } from "@/model/lanes";

interface Props {
  data: ChartData;
  byWorker: boolean;
  isZoomed: boolean;
  onlyCritical: boolean;
  onZoomIn: () => void;
  onZoomOut: () => void;
  onShowAll: () => void;
  onOnlyCritical: (only: boolean) => void;
}

/** Row grouping, zoom and totals. */
export function Toolbar({ data, byWorker, isZoomed, onlyCritical, ...on }: Props) {
  const { attempts, chain, extent, grouped, now } = data;
  const took = chainLength(chain, now);
  return (
    <div className="tl-bar" role="toolbar" aria-label="Timeline">
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
        title="The chain of commands that determines the total time"
        onClick={() => on.onOnlyCritical(!onlyCritical)}
      >
        Critical path
      </Button>
      <span className="muted number">
        {plural(attempts, "attempt")}, {duration(extent.to - extent.from)}
        {took === null
          ? ""
          : `; critical path ${plural(chain.length, "command")}, ${duration(took)}`}
      </span>
    </div>
  );
}

function chainLength(chain: readonly Bar[], now: number): number | null {
  const [first] = chain;
  const last = chain.at(-1);
  if (first === undefined || last === undefined) return null;
  return (last.ended ?? now) - (first.queued ?? first.started ?? now);
}
