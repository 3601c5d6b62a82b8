import { useMutation, useQuery } from "@tanstack/react-query";
import { useDeferredValue, useEffect, useState } from "react";

import { api, messageOf } from "@/api/client";
import type { LogMatch } from "@/api/schema";
import { Button } from "@/components/Button";
import { toast } from "@/components/toasts";
import type { LogPlace } from "@/live/log";

/** A line to go to, and what to mark in it. */
export interface Found {
  line: number;
  text: string;
}

const MOST = 500;
const LOOKS_LIKE_ERROR = String.raw`\b(error|exception|traceback|fatal|panic|failed|failure)\b`;

interface Props {
  place: LogPlace;
  found: Found | null;
  onFound: (found: Found | null) => void;
}

/** Look for a text in an output; the server searches all of it. */
export function LogSearch({ place, found, onFound }: Props) {
  const [typed, setTyped] = useState("");
  const text = useDeferredValue(typed);
  const { id, ...where } = place;
  const result = useQuery({
    queryKey: ["log-search", place, text],
    queryFn: ({ signal }) =>
      api.searchLog(id, { ...where, text, ignore_case: true, limit: MOST }, signal),
    enabled: text !== "",
  });
  const lines = (result.data?.matches ?? []).flatMap((match) => foundIn(match));
  const at = lines.findIndex((one) => one.line === found?.line);
  const first = lines[0];
  const firstLine = first?.line;
  useEffect(() => {
    if (firstLine !== undefined) onFound({ line: firstLine, text });
    // Only a new result moves the reader.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [firstLine, text]);
  const step = (by: number) => {
    const next = lines[(at + by + lines.length) % lines.length];
    if (next !== undefined) onFound(next);
  };
  const firstError = useMutation({
    mutationFn: () =>
      api.searchLog(id, {
        ...where,
        text: LOOKS_LIKE_ERROR,
        regex: true,
        ignore_case: true,
        limit: 1,
      }),
    onSuccess: ({ matches }) => {
      const [place_] = matches.flatMap((match) => foundIn(match));
      if (place_ === undefined) toast("No line looks like an error");
      else onFound(place_);
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
          if (event.target.value === "") onFound(null);
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
          <Button look="quiet" aria-label="Previous match" onClick={() => step(-1)}>
            ‹
          </Button>
          <Button look="quiet" aria-label="Next match" onClick={() => step(1)}>
            ›
          </Button>
        </>
      ) : null}
      <Button
        look="quiet"
        title="Go to the first line that looks like an error"
        onClick={() => firstError.mutate()}
      >
        First error
      </Button>
    </>
  );
}

function foundIn(match: LogMatch): Found[] {
  if (match.line === null) return [];
  return [{ line: match.line, text: match.text.slice(match.start, match.end) }];
}
