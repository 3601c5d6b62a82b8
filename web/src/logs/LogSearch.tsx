import { useQueries } from "@tanstack/react-query";
import { useDeferredValue, useEffect, useMemo, useState } from "react";

import { api, type LogSearchQuery } from "@/api/client";
import type { LogMatch } from "@/api/schema";
import { Button } from "@/components/Button";
import { type Output, type OutputLocation, streamsOf } from "@/logs/live/output";
import { placesOf, type Segment } from "@/logs/model/outputOrder";
import styles from "@/logs/LogView.module.css";

/** A matching line and the text to highlight. */
export interface Match {
  line: number;
  text: string;
}

const MAX_MATCHES = 500;

export interface LogSearch {
  typed: string;
  setTyped: (text: string) => void;
  /** Matches in the order of the output; null while they are searched or without a text. */
  matches: readonly Match[] | null;
  /** There are more. */
  hasMore: boolean;
}

/** A function of its own: the cached query would keep the scope of the hook, and so the page. */
function matchesQuery(id: string, where: Omit<LogSearchQuery, "ignore_case" | "limit">) {
  return {
    queryKey: ["log-search", id, where],
    queryFn: ({ signal }: { signal: AbortSignal }) =>
      api.searchLog(id, { ...where, ignore_case: true, limit: MAX_MATCHES }, signal),
    enabled: where.text !== "",
  };
}

/** Searches an output on the server. */
export function useLogSearch(
  { id, path, attempt, stream }: OutputLocation,
  output: Output,
): LogSearch {
  const [typed, setTyped] = useState("");
  const text = useDeferredValue(typed);
  const results = useQueries({
    queries: streamsOf(stream).map((one) => matchesQuery(id, { path, attempt, stream: one, text })),
  });
  const isDone = text !== "" && results.every(({ data }) => data !== undefined);
  const [first, second] = results.map(({ data }) => data?.matches);
  const order = output.order();
  const matches = useMemo(
    () => placedMatches(order, stream, [first ?? [], second ?? []]),
    [order, stream, first, second],
  );
  return {
    typed,
    setTyped,
    matches: isDone ? matches : null,
    hasMore: results.some(({ data }) => data !== undefined && data.next !== null),
  };
}

/** The matches of the streams, by their lines in the output. */
function placedMatches(
  order: readonly Segment[],
  stream: OutputLocation["stream"],
  found: readonly (readonly LogMatch[])[],
): Match[] {
  return streamsOf(stream)
    .flatMap((one, at) => {
      const placeIn = placesOf(order, one);
      return (found[at] ?? []).flatMap((match) => foundIn(match, placeIn));
    })
    .toSorted((a, b) => a.line - b.line);
}

function foundIn(match: LogMatch, placeIn: (line: number) => number | null): Match[] {
  const line = match.line === null ? null : placeIn(match.line);
  return line === null ? [] : [{ line, text: match.text.slice(match.start, match.end) }];
}

interface Props {
  search: LogSearch;
  match: Match | null;
  onMatch: (found: Match | null) => void;
}

/** The field of a search, and buttons that go through its matches. */
export function LogSearchField({ search, match, onMatch }: Props) {
  const { typed, setTyped, hasMore } = search;
  const matches = search.matches ?? [];
  const at = matches.findIndex((one) => one.line === match?.line);
  const first = matches[0];
  const firstKey = first === undefined ? "" : `${first.line} ${first.text}`;
  useEffect(() => {
    if (first !== undefined) onMatch(first);
    // Scroll only on new results.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [firstKey]);
  const step = (by: number) => {
    const next = matches[(at + by + matches.length) % matches.length];
    if (next !== undefined) onMatch(next);
  };
  return (
    <>
      <input
        className={`field ${styles.search ?? ""}`}
        type="search"
        placeholder="Search output"
        aria-label="Search output"
        value={typed}
        onChange={(event) => {
          setTyped(event.target.value);
          if (event.target.value === "") onMatch(null);
        }}
        onKeyDown={(event) => {
          if (event.key === "Enter") step(event.shiftKey ? -1 : 1);
        }}
      />
      {search.matches === null ? null : (
        <span className={`number ${styles.count ?? ""}`} role="status">
          {matches.length === 0
            ? "none"
            : `${(Math.max(0, at) + 1).toLocaleString("en")} of ${matches.length.toLocaleString("en")}${hasMore ? "+" : ""}`}
        </span>
      )}
      {matches.length > 1 ? (
        <>
          <Button variant="quiet" aria-label="Previous match" onClick={() => step(-1)}>
            ‹
          </Button>
          <Button variant="quiet" aria-label="Next match" onClick={() => step(1)}>
            ›
          </Button>
        </>
      ) : null}
    </>
  );
}
