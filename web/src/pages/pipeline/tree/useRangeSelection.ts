import { useRef, useState } from "react";

import { messageOf } from "@/api/client";
import { toast } from "@/components/toasts";
import { pathsBetween } from "@/live/selection";
import type { PipelineSession } from "@/live/session";

/** Select from one row to another; what is not loaded between them is asked for first. */
export function useRangeSelection(
  session: PipelineSession,
  onSelect: (selected: ReadonlySet<string>) => void,
) {
  const [busy, setBusy] = useState(false);
  const newest = useRef(0);
  const forget = () => {
    newest.current += 1;
    setBusy(false);
  };
  const select = async (one: string, other: string) => {
    forget();
    const mine = newest.current;
    setBusy(true);
    try {
      const paths = await pathsBetween(session, one, other);
      if (newest.current === mine) onSelect(new Set(paths));
    } catch (error) {
      if (newest.current === mine) toast(messageOf(error), "error");
    } finally {
      if (newest.current === mine) setBusy(false);
    }
  };
  /** `forget`: whoever selects something else meanwhile does not want the range any more. */
  return { busy, select, forget };
}
