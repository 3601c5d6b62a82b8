import { useQuery } from "@tanstack/react-query";

import { api, type LogLinesQuery, messageOf } from "@/api/client";
import type { AttemptRecord } from "@/api/schema";
import { plainText } from "@/lib/ansi";
import { condensed, diffLines } from "@/lib/diff";

/** Lines at the end of each output that are compared, and differences that are looked for. */
const LINES = 2000;
const MOST = 600;
const AROUND = 2;

const SIGNS = { same: " ", old: "−", new: "+" } as const;
type Stream = NonNullable<LogLinesQuery["stream"]>;

interface Props {
  id: string;
  first: AttemptRecord;
  second: AttemptRecord;
  stream: Stream;
}

/** What two attempts printed differently. */
export function OutputDiff({ id, first, second, stream }: Props) {
  const difference = useQuery({
    queryKey: ["output-diff", id, first, second, stream],
    queryFn: async ({ signal }) => {
      const [before, after] = await Promise.all(
        [first, second].map((attempt) => endOf(id, attempt, stream, signal)),
      );
      const edits = diffLines(before?.lines ?? [], after?.lines ?? [], MOST);
      return { edits, cut: before?.cut === true || after?.cut === true };
    },
  });
  return (
    <section aria-label={`Differences in ${stream}`}>
      <h3>{stream}</h3>
      {difference.error === null ? null : <p className="muted">{messageOf(difference.error)}</p>}
      {difference.data === undefined ? null : <Edits {...difference.data} />}
    </section>
  );
}

function Edits({ edits, cut }: { edits: ReturnType<typeof diffLines>; cut: boolean }) {
  const note = cut ? ` Only the last ${LINES.toLocaleString("en")} lines were compared.` : "";
  if (edits === null) {
    return (
      <p className="muted">
        They differ in more than {MOST} lines.{note}
      </p>
    );
  }
  if (edits.every((edit) => edit.kind === "same")) {
    return <p className="muted">The same.{note}</p>;
  }
  return (
    <>
      <pre className="diff" tabIndex={0}>
        {condensed(edits, AROUND).map((edit, index) =>
          edit === null ? (
            <span key={index} className="diff-line muted">
              …{"\n"}
            </span>
          ) : (
            <span key={index} className={`diff-line diff-${edit.kind}`}>
              {SIGNS[edit.kind]} {edit.line}
              {"\n"}
            </span>
          ),
        )}
      </pre>
      {note === "" ? null : <p className="muted">{note}</p>}
    </>
  );
}

async function endOf(
  id: string,
  { path, number }: AttemptRecord,
  stream: Stream,
  signal: AbortSignal,
): Promise<{ lines: string[]; cut: boolean }> {
  const query = { path, attempt: number, stream, first: -LINES, count: LINES };
  const found = await api.logLines(id, query, signal);
  return { lines: found.lines.map(plainText), cut: found.first > 0 || found.cut };
}
