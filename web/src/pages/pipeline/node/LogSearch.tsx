import { useMutation, useQuery } from "@tanstack/react-query";
import { useDeferredValue, useEffect, useState } from "react";

import { api, messageOf } from "@/api/client";
import type { LogMatch } from "@/api/schema";
import { Button } from "@/components/Button";
import { toast } from "@/components/toasts";
import type { LogLocation } from "@/live/log";

/** A matching line and the text to highlight. */
export interface Match {
  line: number;
  text: string;
}

const MAX_MATCHES = 500;
const ERROR_PATTERN = String.raw`\b(error|exception|traceback|fatal|panic|failed|failure)\b`;

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
  const firstError = useMutation({
    mutationFn: () =>
      api.searchLog(id, {
        ...where,
        text: ERROR_PATTERN,
        regex: true,
        ignore_case: true,
        limit: 1,
      }),
    onSuccess: ({ matches }) => {
      const [match] = matches.flatMap((match) => foundIn(match));
      if (match === undefined) toast("No error found");
      else onMatch(match);
    },
    onError: (error) => toast(messageOf(error), "error"),
  });
  return (
    <>
      <input
        className="field log-search"
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
      {text === "" || result.data === undefined ? null : (
        <span className="muted number" role="status">
          {lines.length === 0
            ? "none"
            : `${Math.max(0, at) + 1} of ${lines.length}${result.data.next === null ? "" : "+"}`}
        </span>
      )}
      {lines.length > 1 ? (
        <>
          <Button variant="quiet" aria-label="Previous match" onClick={() => step(-1)}>
            ‹
          </Button>
          <Button variant="quiet" aria-label="Next match" onClick={() => step(1)}>
            ›
          </Button>
        </>
      ) : null}
      <Button variant="quiet" title="Go to the first error" onClick={() => firstError.mutate()}>
        First error
      </Button>
    </>
  );
}

function foundIn(match: LogMatch): Match[] {
  if (match.line === null) return [];
  return [{ line: match.line, text: match.text.slice(match.start, match.end) }];
}
