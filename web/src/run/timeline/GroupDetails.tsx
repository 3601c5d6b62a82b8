import { Button } from "@/components/Button";
import { followLink, pipelineUrl } from "@/lib/location";
import { moment, plural } from "@/lib/time";
import { visible } from "@/lib/visible";
import { runningAt } from "@/run/timeline/model/groupLanes";
import type { Group } from "@/run/timeline/model/lanes";
import barDetailsStyles from "@/run/timeline/BarDetails.module.css";

interface Props {
  id: string;
  path: string;
  group: Group;
  /** The time under the pointer. */
  time: number | null;
  /** Open the group. */
  onEnter: () => void;
}

/** Details of a group. */
export function GroupDetails({ id, path, group, time, onEnter }: Props) {
  return (
    <div className={barDetailsStyles.facts} role="status">
      <a
        href={pipelineUrl(id, path)}
        onClick={followLink}
        className={`mono ${barDetailsStyles.path}`}
      >
        {visible(path)}
      </a>
      {time === null ? null : (
        <strong className="number">
          {`${runningAt(group.steps, time).toLocaleString("en")} running at ${moment(time)}`}
        </strong>
      )}
      <span className="number">{groupDetails(group).join(" · ")}</span>
      <Button variant="quiet" onClick={onEnter}>
        Show only its group
      </Button>
    </div>
  );
}

/** `500 nodes · 512 attempts · at most 37 running · 3 failed`. */
export function groupDetails({ nodes, attempts, peak, failures }: Group): string[] {
  const facts = [plural(nodes, "node")];
  if (attempts !== nodes) facts.push(plural(attempts, "attempt"));
  facts.push(`at most ${peak.toLocaleString("en")} running`);
  if (failures.length > 0) facts.push(`${failures.length.toLocaleString("en")} failed`);
  return facts;
}
