import { useNow } from "@/components/useNow";
import { duration } from "@/lib/time";

/** Data that is older than this number of intervals is marked. */
const MAX_INTERVALS = 3;

interface Props {
  query: { dataUpdatedAt: number };
  /** Polling interval, in ms. */
  every: number;
}

/** The age of polled data that is much older than it should be. */
export function StaleBadge({ query: { dataUpdatedAt }, every }: Props) {
  const now = useNow(true);
  const age = now - dataUpdatedAt / 1000;
  if (dataUpdatedAt === 0 || age * 1000 < MAX_INTERVALS * every) return null;
  return <span className="tag number">{`${duration(Math.round(age))} old`}</span>;
}
