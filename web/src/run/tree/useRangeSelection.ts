import { useRef, useState } from "react";

import { messageOf } from "@/api/client";
import { toast } from "@/components/toasts";
import { pathsBetween } from "@/run/tree/live/selection";
import type { PipelineSession } from "@/run/live/session";

/** Selects a range of rows, after loading the missing ones. */
export function useRangeSelection(
  session: PipelineSession,
  onSelect: (selected: ReadonlySet<string>) => void,
) {
  const [busy, setBusy] = useState(false);
  const newest = useRef(0);
  const cancel = () => {
    newest.current += 1;
    setBusy(false);
  };
  const select = async (one: string, other: string) => {
    cancel();
    const request = newest.current;
    setBusy(true);
    try {
      const paths = await pathsBetween(session, one, other);
      if (newest.current === request) onSelect(new Set(paths));
    } catch (error) {
      if (newest.current === request) toast(messageOf(error), "error");
    } finally {
      if (newest.current === request) setBusy(false);
    }
  };
  /** `cancel` drops a range that is still loading. */
  return { busy, select, cancel };
}
