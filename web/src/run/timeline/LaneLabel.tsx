import type { CSSProperties } from "react";

import { Icon } from "@/components/Icon";
import { plural } from "@/lib/time";
import { visible } from "@/lib/visible";
import type { Lane } from "@/run/timeline/model/lanes";
import { stateLabel } from "@/run/model/states";
import styles from "@/run/timeline/Chart.module.css";
import { groupDetails } from "@/run/timeline/GroupDetails";

interface Props {
  lane: Lane;
  /** The id of its element. */
  domId: string;
  /** Pipeline ID. */
  id: string;
  byWorker: boolean;
  selected: boolean;
  /** Distance from the first row in px. */
  top: number;
  onPress: () => void;
}

/** Indents in px; deeper levels get a smaller one, so that names keep their room. */
const INDENT = 14;
const DEEP_INDENT = 4;
const DEEP = 5;

/** The label of a row, with a summary of its bars for screen readers. */
export function LaneLabel({ lane, domId, id, byWorker, selected, top, onPress }: Props) {
  const { group, depth = 0, open } = lane;
  return (
    <div
      id={domId}
      role={byWorker ? "option" : "treeitem"}
      aria-selected={selected}
      {...(byWorker ? {} : { "aria-level": depth + 1 })}
      {...(open === undefined ? {} : { "aria-expanded": open })}
      className={styles.label}
      style={placeOf(top, depth)}
      title={visible(byWorker ? lane.label : lane.key)}
      onClick={onPress}
    >
      <span className={styles.chevron}>{open === undefined ? null : <Icon name="chevron" />}</span>
      <LaneName label={visible(lane.label)} id={id} byWorker={byWorker} />
      {group === undefined || open === true ? null : (
        <span className={`${styles.peak} muted number`} aria-hidden>
          ≤ {group.peak.toLocaleString("en")}
        </span>
      )}
      <span className="sr-only">
        , {group === undefined ? attemptsOf(lane) : groupDetails(group).join(", ")}
      </span>
    </div>
  );
}

function placeOf(top: number, depth: number): CSSProperties {
  const indent = Math.min(depth, DEEP) * INDENT + Math.max(0, depth - DEEP) * DEEP_INDENT;
  const variables = { "--indent": `${indent}px` };
  return { transform: `translateY(${top}px)`, ...variables };
}

function attemptsOf({ bars }: Lane): string {
  return `${plural(bars.length, "attempt")}, ${stateLabel(bars.at(-1)?.state ?? "pending")}`;
}

/** Long paths keep their end; container names lose the common prefix. */
function LaneName({ label, id, byWorker }: { label: string; id: string; byWorker: boolean }) {
  if (byWorker) {
    return <span className="clip">{label.replace(`conducto_worker_${id}_`, "worker ")}</span>;
  }
  const name = label.length > 1 ? label.lastIndexOf("/") + 1 : 0;
  return (
    <>
      {name === 0 ? null : <span className={`${styles.parent} muted`}>{label.slice(0, name)}</span>}
      <span className="clip">{label.slice(name)}</span>
    </>
  );
}
