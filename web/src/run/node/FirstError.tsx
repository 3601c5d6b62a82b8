import { useQueries } from "@tanstack/react-query";

import { api, messageOf } from "@/api/client";
import { Button } from "@/components/Button";
import { Icon } from "@/components/Icon";
import { toast } from "@/components/toasts";
import { type Output, type OutputLocation, streamsOf } from "@/logs/live/output";
import styles from "@/logs/LogView.module.css";

/** Words of errors, also at the end of a name, but not in a summary such as `0 failed`. */
const PATTERN = String.raw`(?<!\d )(error|exception|traceback|fatal|panic|failed|failure)\b`;

interface FoundError {
  /** The line of the first error, from 0; null if there is none or it is unknown. */
  line: number | null;
  find: () => Promise<number | null>;
}

/** The first line of an output that looks like an error; with `now`, it is searched at once. */
export function useFirstError(
  { id, path, attempt, stream }: OutputLocation,
  output: Output,
  now: boolean,
): FoundError {
  const streams = streamsOf(stream);
  const results = useQueries({
    queries: streams.map((one) => ({
      queryKey: ["first-error", id, path, attempt, one],
      queryFn: async ({ signal }: { signal: AbortSignal }) => {
        const place = { path, attempt, stream: one };
        const query = { ...place, text: PATTERN, regex: true, ignore_case: true, limit: 1 };
        return (await api.searchLog(id, query, signal)).matches[0]?.line ?? null;
      },
      enabled: now,
    })),
  });
  const earliest = (lines: readonly (number | null | undefined)[]) => {
    const places = streams.flatMap((one, at) => {
      const line = lines[at] ?? null;
      const place = line === null ? null : output.placesIn(one)(line);
      return place === null ? [] : [place];
    });
    return places.length === 0 ? null : Math.min(...places);
  };
  const isKnown = results.every(({ data }) => data !== undefined);
  const find = async () => {
    const found = await Promise.all(results.map(({ refetch }) => refetch()));
    const failed = found.find(({ error }) => error !== null);
    if (failed?.error) throw failed.error;
    return earliest(found.map(({ data }) => data));
  };
  return { line: isKnown ? earliest(results.map(({ data }) => data)) : null, find };
}

/** A button that goes to the first error. */
export function FirstError(props: { error: FoundError; onFound: (line: number) => void }) {
  const { error, onFound } = props;
  const onClick = async () => {
    try {
      const line = error.line ?? (await error.find());
      if (line === null) toast("No error found");
      else onFound(line);
    } catch (problem) {
      toast(messageOf(problem), "error");
    }
  };
  return (
    <Button variant="quiet" className={styles.error ?? ""} onClick={() => void onClick()}>
      <Icon name="flag" />
      First error
    </Button>
  );
}
