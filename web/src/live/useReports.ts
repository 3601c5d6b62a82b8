import { useQuery } from "@tanstack/react-query";

import { dataApi } from "@/api/data";
import type { DataEntry, DataList } from "@/api/schema";
import type { PipelineSession } from "@/live/session";
import { REPORTS, reportsIn, wholeLines } from "@/model/reports";

/** A report may be written at any time while its command runs, and no event tells of it. */
const REFRESH_MS = 5000;
/** Bytes of a report that are shown. */
export const REPORT_BYTES = 256_000;
/** What was shown before a report was written anew need not be kept. In ms. */
const KEEP_MS = 10_000;

/** The name that comes right before `reports` in a listing. */
const BEFORE = "reportr\u{10ffff}";

/** Reports of a pipeline; looked for again while it is under way. */
export function useReports({ id, model }: PipelineSession, enabled = true) {
  const { settled = true, seq = 0 } = model?.summary ?? {};
  return useQuery({
    queryKey: ["reports", id, settled ? seq : null],
    queryFn: async ({ signal }) => {
      const { entries, next } = await entriesOf(id, signal);
      return { ...reportsIn(entries), complete: next === null };
    },
    enabled,
    refetchInterval: settled ? false : REFRESH_MS,
    placeholderData: (before) => before,
  });
}

/**
 * Whether there is such a directory is asked of the one above it: most pipelines have none, and
 * to list what is not there is an error, which a browser notes on its console each time.
 */
async function entriesOf(id: string, signal: AbortSignal): Promise<DataList> {
  const { entries } = await dataApi.list(id, "", BEFORE, signal, 1);
  const [found] = entries;
  const there = found?.name === REPORTS && found.kind === "directory";
  return there ? dataApi.list(id, REPORTS, null, signal) : { entries: [], next: null };
}

/** The text of a report, as much of it as is shown. */
export function useReportText(id: string, { name, size, modified }: DataEntry) {
  return useQuery({
    queryKey: ["report-text", id, name, size, modified],
    queryFn: async ({ signal }) => {
      if (size === 0) return ""; // of an empty file there is no first byte to ask for
      const read = await dataApi.read(id, name, REPORT_BYTES, signal);
      const text = new TextDecoder().decode(read);
      return size > REPORT_BYTES ? wholeLines(text) : text;
    },
    staleTime: Infinity,
    gcTime: KEEP_MS,
    placeholderData: (before) => before,
  });
}
