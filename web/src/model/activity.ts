/** How long a pipeline was at work: the time between its runs does not count. */

import type { PipelineRun } from "@/api/schema";
import { duration, elapsed } from "@/lib/time";

type Timed = Pick<PipelineRun, "settled" | "started" | "ended" | "active_seconds" | "active_since">;

/** Shorter idle times are not told, in seconds. */
const LEAST_IDLE = 60;

/** Seconds it has been at work by `now`; null when it never began. */
export function activeTime(one: Timed, now: number): number | null {
  if (one.started === null) return null;
  if (one.active_seconds === null) return wall(one, now);
  return one.active_seconds + (one.active_since === null ? 0 : Math.max(0, now - one.active_since));
}

/** From the first start to the last end, in words; null where it was at work all the time. */
export function wallText(one: Timed, now: number): string | null {
  const active = activeTime(one, now);
  const all = wall(one, now);
  if (active === null || all === null || all - active < Math.max(LEAST_IDLE, active / 10)) {
    return null;
  }
  return `${duration(active)} at work, ${duration(all)} from the first start to the last end`;
}

function wall(one: Timed, now: number): number | null {
  return elapsed(one.started, one.settled ? one.ended : null, now);
}
