/** The history of a node in words. */

import type { HistoryOfNode, RunOfNode } from "@/api/schema";
import { duration, plural } from "@/lib/time";
import { isFailed } from "@/run/model/states";
import { isLong } from "@/run/model/usual";

/** Fewer runs have no percentiles and no rate. */
export const MIN_RUNS = 5;
const MAX_FIELDS = 3;

/** `4× the usual`, of a run that takes long. */
export function factorText(seconds: number | null, found: HistoryOfNode): string {
  if (seconds === null || found.usual === null || !isLong(seconds, found)) return "";
  return `${Number((seconds / found.usual).toPrecision(2))}× the usual`;
}

/** `Usually 1.2s, now 4.8s`. */
export function headline({ usual }: HistoryOfNode, now: number | null): string {
  if (usual === null)
    return now === null ? "No run that passed yet" : `${duration(now)}, the first run`;
  return now === null
    ? `Usually ${duration(usual)}`
    : `Usually ${duration(usual)}, now ${duration(now)}`;
}

/** Failed runs, all that ended, and the failed ones in a row at the end. */
export function failuresOf(runs: readonly RunOfNode[]): {
  failed: number;
  of: number;
  row: number;
} {
  const ended = runs.filter(
    ({ state, from_cache }) => from_cache === null && (state === "done" || isFailed(state)),
  );
  const passed = ended.findIndex(({ state }) => state === "done");
  return {
    failed: ended.filter(({ state }) => isFailed(state)).length,
    of: ended.length,
    row: passed < 0 ? ended.length : passed,
  };
}

/** What changed before a run; null if that is not known. */
export function changedText(run: RunOfNode, before: RunOfNode | undefined): string | null {
  if (run.from_cache !== null) return `from cache ${run.from_cache}`;
  const fields = run.changed.map(({ field, names, count }) =>
    count === 0
      ? field
      : `${field}: ${names.slice(0, MAX_FIELDS).join(", ")}${count > MAX_FIELDS ? ", …" : ""}`,
  );
  const { commit } = run;
  const parts =
    commit !== null && commit !== before?.commit
      ? [`commit ${commit.slice(0, 8)}`, ...fields]
      : fields;
  if (parts.length > 0) return parts.join("; ");
  return run.comparable ? "nothing" : null;
}

/** `5 of 60 runs failed, 3 in a row`. */
export function failuresText(found: { failed: number; of: number; row: number }): string {
  const { failed, of, row } = found;
  return `${failed} of ${plural(of, "run")}${row > 1 ? `, ${row} in a row` : ""}`;
}
