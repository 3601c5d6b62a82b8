/** Summarises the workers of a pipeline. */

import type { PipelineRecord, Workers } from "@/api/schema";
import { plural } from "@/lib/time";

/** `3 workers busy, 1 idle, 2 starting; 4 of 4 CPUs in use`. */
export function workersText({ engine }: Pick<PipelineRecord, "engine">, workers: Workers): string {
  const { busy, idle, starting, cpu_used: used, cpu } = workers;
  const parts = [`${plural(busy, engine === "process" ? "process slot" : "worker")} busy`];
  if (idle > 0) parts.push(`${idle} idle`);
  if (starting > 0) parts.push(`${starting} starting`);
  const machine =
    cpu === null || used === null ? "" : `; ${rounded(used)} of ${rounded(cpu)} CPUs in use`;
  return parts.join(", ") + machine;
}

/** What the workers of a pipeline without work do, or null if it has none. */
export function restingText({ idle }: Workers): string | null {
  if (idle === 0) return null;
  return idle === 1 ? "1 worker waits for a rerun" : `${String(idle)} workers wait for a rerun`;
}

function rounded(cpus: number): string {
  return String(Math.round(cpus * 10) / 10);
}
