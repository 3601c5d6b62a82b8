import { useQuery } from "@tanstack/react-query";

import { api, messageOf } from "@/api/client";
import { Button } from "@/components/Button";
import { Icon } from "@/components/Icon";
import { toast } from "@/components/toasts";
import type { LogLocation } from "@/live/log";
import styles from "@/pages/pipeline/node/LogView.module.css";
import { OUTPUT } from "@/strings";

/** Words of errors, also at the end of a name, but not in a summary such as `0 failed`. */
const PATTERN = String.raw`(?<!\d )(error|exception|traceback|fatal|panic|failed|failure)\b`;

interface FoundError {
  /** The line of the first error, from 0; null if there is none or it is unknown. */
  line: number | null;
  find: () => Promise<number | null>;
}

/** The first line of an output that looks like an error; with `now`, it is searched at once. */
export function useFirstError(location: LogLocation, now: boolean): FoundError {
  const { id, ...place } = location;
  const found = useQuery({
    queryKey: ["first-error", location],
    queryFn: async ({ signal }) => {
      const query = { ...place, text: PATTERN, regex: true, ignore_case: true, limit: 1 };
      return (await api.searchLog(id, query, signal)).matches[0]?.line ?? null;
    },
    enabled: now,
    retry: false,
  });
  const find = async () => {
    const result = await found.refetch();
    if (result.error !== null) throw result.error;
    return result.data ?? null;
  };
  return { line: found.data ?? null, find };
}

/** A button that goes to the first error. */
export function FirstError(props: { error: FoundError; onFound: (line: number) => void }) {
  const { error, onFound } = props;
  const onClick = async () => {
    try {
      const line = error.line ?? (await error.find());
      if (line === null) toast(OUTPUT.noError);
      else onFound(line);
    } catch (problem) {
      toast(messageOf(problem), "error");
    }
  };
  return (
    <Button variant="quiet" className={styles.error ?? ""} onClick={() => void onClick()}>
      <Icon name="flag" />
      {OUTPUT.firstError}
    </Button>
  );
}
