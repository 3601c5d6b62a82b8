import { useQuery } from "@tanstack/react-query";

import { dataApi } from "@/data/api/data";
import type { DataEntry, DataList } from "@/api/schema";
import type { PipelineSession } from "@/run/live/session";
import { REPORTS, reportsIn, wholeLines } from "@/results/model/reports";

/** Reports have no events, so they are polled. */
const REFRESH_MS = 5000;
/** Maximum number of bytes shown of a report. */
export const REPORT_BYTES = 256_000;
const CACHE_MS = 10_000;

/** The name right before `reports` in a listing. */
const BEFORE_REPORTS = "reportr\u{10ffff}";

/** Reports of a pipeline, polled while it is active. */
export function useReports({ id, model }: PipelineSession, enabled = true) {
  const { settled = true, seq = 0, started = null } = model?.summary ?? {};
  return useQuery({
    queryKey: ["reports", id, settled ? seq : null],
    queryFn: async ({ signal }) => {
      const { entries, next } = await listReports(id, signal);
      return { ...reportsIn(entries), complete: next === null };
    },
    enabled: enabled && started !== null, // reports are written by commands
    refetchInterval: settled ? false : REFRESH_MS,
    placeholderData: (before) => before,
  });
}

/**
 * Check in the parent whether the directory exists. Most pipelines have none, and browsers log 404
 * errors.
 */
async function listReports(id: string, signal: AbortSignal): Promise<DataList> {
  const { entries } = await dataApi.list(id, "", BEFORE_REPORTS, signal, 1);
  const [found] = entries;
  const exists = found?.name === REPORTS && found.kind === "directory";
  return exists ? dataApi.list(id, REPORTS, null, signal) : { entries: [], next: null };
}

/** The text of a report, truncated. */
export function useReportText(id: string, { name, size, modified }: DataEntry) {
  return useQuery({
    queryKey: ["report-text", id, name, size, modified],
    queryFn: async ({ signal }) => {
      if (size === 0) return ""; // an empty file has no valid range
      const read = await dataApi.read(id, name, REPORT_BYTES, signal);
      const text = new TextDecoder().decode(read);
      return size > REPORT_BYTES ? wholeLines(text) : text;
    },
    staleTime: Infinity,
    gcTime: CACHE_MS,
    placeholderData: (before) => before,
  });
}
