import { useEffect, useMemo, useRef } from "react";

import { setQuery, useLocation } from "@/lib/location";
import type { OutputLocation } from "@/logs/live/output";
import { type LineRange, linesAfterClick, linesFrom, linesText } from "@/logs/model/outputPlaces";

/** The lines that the URL links to. */
export function useLinkedLines(): LineRange | null {
  const text = useLocation().query.get("line");
  return useMemo(() => linesFrom(text), [text]);
}

/**
 * Scroll to the linked lines once, when they can be shown. Returns a function that links to a line,
 * or with Shift up to it.
 */
export function useLineLinks(
  { attempt, stream }: OutputLocation,
  linked: LineRange | null,
  total: number,
  scrollTo: (line: number) => void,
): (line: number, shift: boolean) => void {
  const shown = useRef<number | null>(null);
  useEffect(() => {
    if (linked === null || linked.first >= total || shown.current === linked.first) return;
    shown.current = linked.first;
    scrollTo(linked.first);
  });
  return (line, shift) => {
    const lines = linesAfterClick(linked, line, shift);
    shown.current = lines?.first ?? null; // already in view
    // The link names the attempt and the stream, so that it does not depend on later ones.
    const place = { attempt: String(attempt), stream: stream === "all" ? null : stream };
    setQuery({ ...(lines === null ? {} : place), line: lines && linesText(lines) }, true);
  };
}
