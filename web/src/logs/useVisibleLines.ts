import { useEffect } from "react";

import type { LogScroll } from "@/components/LogLines";
import type { Output } from "@/logs/live/output";
import type { OutputRows } from "@/logs/model/outputGroups";

/** Load the lines in view: those between two rows, without those in closed groups. */
export function useVisibleLines(output: Output, rows: OutputRows, log: LogScroll): void {
  const items = log.virtual.getVirtualItems();
  const [from, to] = [items[0]?.index ?? 0, items.at(-1)?.index ?? 0];
  const { version } = output;
  useEffect(() => {
    const last = Math.min(to, rows.count - 1);
    for (let row = from; row <= last;) {
      const first = rows.placeAt(row);
      let end = first;
      for (row += 1; row <= last && rows.placeAt(row) === end + 1; row += 1) end += 1;
      output.ensureLoaded(first, end);
    }
  }, [output, version, rows, from, to]);
}
