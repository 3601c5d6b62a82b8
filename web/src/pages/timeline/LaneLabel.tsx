import { plural } from "@/lib/time";
import type { Lane } from "@/model/lanes";
import { groupFacts } from "@/pages/timeline/GroupFacts";

interface Props {
  lane: Lane;
  /** Of the pipeline. */
  id: string;
  byWorker: boolean;
}

/** The name of a row, and for who cannot see its bars what they are. */
export function LaneLabel({ lane, id, byWorker }: Props) {
  const { group } = lane;
  return (
    <>
      <LaneName label={lane.label} id={id} byWorker={byWorker} />
      {group === undefined ? null : (
        <span className="tl-peak muted number" aria-hidden>
          ≤ {group.peak.toLocaleString("en")}
        </span>
      )}
      <span className="sr-only">
        , {group === undefined ? attemptsOf(lane) : groupFacts(group).join(", ")}
      </span>
    </>
  );
}

function attemptsOf({ bars }: Lane): string {
  return `${plural(bars.length, "attempt")}, ${bars.at(-1)?.state ?? ""}`;
}

/** Of a long path the end says most; of a container, what tells it from the pipeline's others. */
function LaneName({ label, id, byWorker }: { label: string; id: string; byWorker: boolean }) {
  if (byWorker) {
    return <span className="clip">{label.replace(`conducto_worker_${id}_`, "worker ")}</span>;
  }
  const name = label.lastIndexOf("/") + 1;
  return (
    <>
      <span className="tl-parent muted">{label.slice(0, name)}</span>
      <span className="clip">{label.slice(name)}</span>
    </>
  );
}
