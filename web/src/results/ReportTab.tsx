import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";

import { api, type LogLinesQuery, messageOf } from "@/api/client";
import type { AttemptRecord } from "@/api/schema";
import { LoadError } from "@/components/EmptyState";
import { LazyMarkdown } from "@/components/LazyMarkdown";
import { decodeBase64 } from "@/lib/base64";
import { BEGIN, markdownBlocks } from "@/logs/model/richOutput";
import { isFinished } from "@/run/model/states";
import styles from "@/results/ReportTab.module.css";

const STREAMS: readonly NonNullable<LogLinesQuery["stream"]>[] = ["stdout", "stderr"];
/** Maximum number of bytes searched from the first block. */
const MAX_BYTES = 4 << 20;
const REFRESH_MS = 2000;

/** Delay in ms, because searching the output must not delay its first lines. */
const DELAY_MS = 400;

/** Whether an attempt may have output: it started, or another one with its inputs did. */
function hasOutput({ started, from_cache: cached }: AttemptRecord): boolean {
  return started !== null || cached !== null;
}

/** Whether a place was shown for a while. */
function useIsShown(place: string | null): boolean {
  const [ready, setReady] = useState<string | null>(null);
  useEffect(() => {
    const timer = window.setTimeout(() => setReady(place), DELAY_MS);
    return () => window.clearTimeout(timer);
  }, [place]);
  return ready === place;
}

/** Markdown that an attempt printed. */
export function useReport(id: string, attempt: AttemptRecord | undefined) {
  // A hook of its own: the cached query would keep `setReady`, and with it the page that was left.
  const isShown = useIsShown(
    attempt === undefined ? null : `${id} ${attempt.number} ${attempt.path}`,
  );
  return useQuery({
    queryKey: ["report", id, attempt?.path, attempt?.number, attempt?.state],
    queryFn: async ({ signal }) => {
      if (attempt === undefined) return [];
      const found = await Promise.all(STREAMS.map((one) => blocksOf(id, attempt, one, signal)));
      return found.flat();
    },
    enabled: isShown && attempt !== undefined && hasOutput(attempt),
    refetchInterval: attempt !== undefined && !isFinished(attempt.state) ? REFRESH_MS : false,
  });
}

async function blocksOf(
  id: string,
  { path, number }: AttemptRecord,
  stream: (typeof STREAMS)[number],
  signal: AbortSignal,
): Promise<string[]> {
  const place = { path, attempt: number, stream };
  const found = await api.searchLog(id, { ...place, text: BEGIN, limit: 1 }, signal);
  const offset = found.matches[0]?.offset;
  if (offset === undefined) return [];
  const chunk = await api.log(id, { ...place, offset, limit: MAX_BYTES }, signal);
  return markdownBlocks(new TextDecoder().decode(decodeBase64(chunk.data)));
}

/** The Markdown that an attempt printed. */
export function ReportTab({ id, attempt }: { id: string; attempt: AttemptRecord | undefined }) {
  const report = useReport(id, attempt);
  if (report.error !== null && report.data === undefined) {
    return <LoadError message={messageOf(report.error)} onRetry={() => void report.refetch()} />;
  }
  return (
    <div className={styles.report}>
      {report.data?.map((block, index) => (
        <LazyMarkdown key={index} text={block} below={1} />
      ))}
    </div>
  );
}
