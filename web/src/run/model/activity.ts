/** How long a pipeline was active, without the time between its runs. */

import type { PipelineRun } from "@/api/schema";
import { duration, elapsed } from "@/lib/time";

type Timing = Pick<
  PipelineRun,
  "settled" | "started" | "ended" | "active_seconds" | "active_since"
>;

/** Shorter idle times are not shown, in seconds. */
const MIN_IDLE = 60;

/** Active seconds until `now`; null if it has not started. */
export function activeTime(one: Timing, now: number): number | null {
  if (one.started === null) return null;
  if (one.active_seconds === null) return wallTime(one, now);
  return one.active_seconds + (one.active_since === null ? 0 : Math.max(0, now - one.active_since));
}

/** Time from first start to last end, as text; null if it was active nearly all the time. */
export function wallText(one: Timing, now: number): string | null {
  const active = activeTime(one, now);
  const all = wallTime(one, now);
  if (active === null || all === null || all - active < Math.max(MIN_IDLE, active / 10)) {
    return null;
  }
  return `${duration(active)} active, ${duration(all)} from first start to last end`;
}

function wallTime(one: Timing, now: number): number | null {
  return elapsed(one.started, one.settled ? one.ended : null, now);
}
