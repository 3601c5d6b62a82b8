import { useQuery } from "@tanstack/react-query";
import { useDeferredValue, useEffect, useState } from "react";

import { api } from "@/api/client";
import type { LogMatch } from "@/api/schema";
import { Button } from "@/components/Button";
import type { LogLocation } from "@/live/log";
import styles from "@/pages/pipeline/node/LogView.module.css";
import { OUTPUT } from "@/strings";
import { NODE } from "@/strings/node";

/** A matching line and the text to highlight. */
export interface Match {
  line: number;
  text: string;
}

const MAX_MATCHES = 500;

interface Props {
  location: LogLocation;
  match: Match | null;
  onMatch: (found: Match | null) => void;
}

/** Searches an output on the server. */
export function LogSearch({ location, match, onMatch }: Props) {
  const [typed, setTyped] = useState("");
  const text = useDeferredValue(typed);
  const { id, ...where } = location;
  const result = useQuery({
    queryKey: ["log-search", location, text],
    queryFn: ({ signal }) =>
      api.searchLog(id, { ...where, text, ignore_case: true, limit: MAX_MATCHES }, signal),
    enabled: text !== "",
  });
  const lines = (result.data?.matches ?? []).flatMap((match) => foundIn(match));
  const at = lines.findIndex((one) => one.line === match?.line);
  const first = lines[0];
  const firstLine = first?.line;
  useEffect(() => {
    if (firstLine !== undefined) onMatch({ line: firstLine, text });
    // Scroll only on new results.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [firstLine, text]);
  const step = (by: number) => {
    const next = lines[(at + by + lines.length) % lines.length];
    if (next !== undefined) onMatch(next);
  };
  return (
    <>
      <input
        className={`field ${styles.search ?? ""}`}
        type="search"
        placeholder={OUTPUT.search}
        aria-label={OUTPUT.search}
        value={typed}
        onChange={(event) => {
          setTyped(event.target.value);
          if (event.target.value === "") onMatch(null);
        }}
        onKeyDown={(event) => {
          if (event.key === "Enter") step(event.shiftKey ? -1 : 1);
        }}
      />
      {text === "" || result.data === undefined ? null : (
        <span className={`number ${styles.count ?? ""}`} role="status">
          {lines.length === 0
            ? OUTPUT.noMatch
            : NODE.matchOf(Math.max(0, at) + 1, lines.length, result.data.next === null ? "" : "+")}
        </span>
      )}
      {lines.length > 1 ? (
        <>
          <Button variant="quiet" aria-label={OUTPUT.previousMatch} onClick={() => step(-1)}>
            ‹
          </Button>
          <Button variant="quiet" aria-label={OUTPUT.nextMatch} onClick={() => step(1)}>
            ›
          </Button>
        </>
      ) : null}
    </>
  );
}

function foundIn(match: LogMatch): Match[] {
  if (match.line === null) return [];
  return [{ line: match.line, text: match.text.slice(match.start, match.end) }];
}
