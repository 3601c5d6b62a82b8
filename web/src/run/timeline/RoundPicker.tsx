import { Button } from "@/components/Button";
import segmentStyles from "@/components/Segments.module.css";
import { StateIcon } from "@/components/StateIcon";
import { setQuery } from "@/lib/location";
import { duration } from "@/lib/time";
import type { Round } from "@/run/timeline/model/rounds";

/** More rounds are chosen from a list. */
const MAX_BUTTONS = 5;

interface Props {
  rounds: readonly Round[];
  /** Index of the shown round; null for all. */
  only: number | null;
}

/** Chooses the round that the timeline shows. */
export function RoundPicker({ rounds, only }: Props) {
  if (rounds.length < 2) return null;
  const choose = (round: string | null) => setQuery({ round }, true);
  if (rounds.length > MAX_BUTTONS) {
    return (
      <select
        className="field"
        aria-label="Round"
        value={only === null ? "" : String(only + 1)}
        onChange={(event) => choose(event.target.value || null)}
      >
        <option value="">All rounds</option>
        {rounds.map((round, at) => (
          <option key={round.label} value={at + 1}>
            {round.label}, {duration(round.to - round.from)}
          </option>
        ))}
      </select>
    );
  }
  return (
    <div role="group" aria-label="Round" className={segmentStyles.segments}>
      <Button aria-pressed={only === null} onClick={() => choose(null)}>
        All rounds
      </Button>
      {rounds.map((round, at) => (
        <Button
          key={round.label}
          aria-pressed={only === at}
          title={duration(round.to - round.from)}
          onClick={() => choose(String(at + 1))}
        >
          <StateIcon state={!round.ended ? "running" : round.failed > 0 ? "error" : "done"} label />
          {round.label}
        </Button>
      ))}
    </div>
  );
}
