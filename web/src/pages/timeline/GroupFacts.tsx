import { Button } from "@/components/Button";
import { followLink, pipelineUrl } from "@/lib/location";
import { moment, plural } from "@/lib/time";
import { runningAt } from "@/model/groupLanes";
import type { Group } from "@/model/lanes";

interface Props {
  id: string;
  path: string;
  group: Group;
  /** The time under the pointer, if so. */
  time: number | null;
  /** Show what is below it. */
  onEnter: () => void;
}

/** A group's row in words. */
export function GroupFacts({ id, path, group, time, onEnter }: Props) {
  return (
    <div className="tl-facts" role="status">
      <a href={pipelineUrl(id, path)} onClick={followLink} className="mono tl-facts-path">
        {path}
      </a>
      {time === null ? null : (
        <strong className="number">
          {runningAt(group.steps, time).toLocaleString("en")} running at {moment(time)}
        </strong>
      )}
      <span className="number">{groupFacts(group).join(" · ")}</span>
      <Button look="quiet" onClick={onEnter}>
        Only its group
      </Button>
    </div>
  );
}

/** `500 nodes · 512 attempts · at most 37 running · 3 failed`. */
export function groupFacts({ nodes, attempts, peak, failures }: Group): string[] {
  const facts = [plural(nodes, "node")];
  if (attempts !== nodes) facts.push(plural(attempts, "attempt"));
  facts.push(`at most ${peak.toLocaleString("en")} running`);
  if (failures.length > 0) facts.push(`${failures.length.toLocaleString("en")} failed`);
  return facts;
}
