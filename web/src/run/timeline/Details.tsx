import type { ChartData } from "@/run/timeline/model/chart";
import { BarDetails } from "@/run/timeline/BarDetails";
import { GroupDetails } from "@/run/timeline/GroupDetails";
import type { Spots } from "@/run/timeline/useSpots";

interface Props {
  id: string;
  data: ChartData;
  spots: Spots;
  onEnter: (path: string) => void;
}

/** Details of the row or bar under the pointer, otherwise of the selected one. */
export function Details({ id, data, spots, onEnter }: Props) {
  const { lane, bar } = spots.isHovering ? spots.hovered : spots.chosen;
  if (lane?.group === undefined) {
    return (
      <BarDetails
        id={id}
        bar={bar}
        critical={bar !== null && data.critical.has(bar)}
        grouped={data.grouped === true}
        now={data.now}
      />
    );
  }
  return (
    <GroupDetails
      id={id}
      path={lane.key}
      group={lane.group}
      time={spots.isHovering ? spots.time : null}
      onEnter={() => onEnter(lane.key)}
    />
  );
}
