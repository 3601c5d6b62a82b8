import { plural } from "@/lib/time";
import { visible } from "@/lib/visible";
import type { Lane } from "@/model/lanes";
import { stateLabel } from "@/model/states";
import chartStyles from "@/pages/timeline/Chart.module.css";
import { groupDetails } from "@/pages/timeline/GroupDetails";

interface Props {
  lane: Lane;
  /** Pipeline ID. */
  id: string;
  byWorker: boolean;
}

/** The label of a row, with a summary of its bars for screen readers. */
export function LaneLabel({ lane, id, byWorker }: Props) {
  const { group } = lane;
  return (
    <>
      <LaneName label={visible(lane.label)} id={id} byWorker={byWorker} />
      {group === undefined ? null : (
        <span className={`${chartStyles.peak} muted number`} aria-hidden>
          ≤ {group.peak.toLocaleString("en")}
        </span>
      )}
      <span className="sr-only">
        , {group === undefined ? attemptsOf(lane) : groupDetails(group).join(", ")}
      </span>
    </>
  );
}

function attemptsOf({ bars }: Lane): string {
  return `${plural(bars.length, "attempt")}, ${stateLabel(bars.at(-1)?.state ?? "pending")}`;
}

/** Long paths keep their end; container names lose the common prefix. */
function LaneName({ label, id, byWorker }: { label: string; id: string; byWorker: boolean }) {
  if (byWorker) {
    return <span className="clip">{label.replace(`conducto_worker_${id}_`, "worker ")}</span>;
  }
  const name = label.lastIndexOf("/") + 1;
  return (
    <>
      <span className={`${chartStyles.parent} muted`}>{label.slice(0, name)}</span>
      <span className="clip">{label.slice(name)}</span>
    </>
  );
}
