import { useQuery } from "@tanstack/react-query";

import { api, type LogLinesQuery, messageOf } from "@/api/client";
import type { AttemptRecord } from "@/api/schema";
import { plainText } from "@/lib/ansi";
import { condensed, diffLines } from "@/lib/diff";
import styles from "@/logs/OutputDiff.module.css";

/** Number of lines compared at the end of each output, and maximum number of differences. */
const LINES = 2000;
const MAX_DIFFERENCES = 600;
const CONTEXT = 2;

const SIGNS = { same: " ", old: "−", new: "+" } as const;
type Stream = NonNullable<LogLinesQuery["stream"]>;

interface Props {
  id: string;
  first: AttemptRecord;
  second: AttemptRecord;
  stream: Stream;
}

/** The differences in the output of two attempts. */
export function OutputDiff({ id, first, second, stream }: Props) {
  const difference = useQuery({
    queryKey: ["output-diff", id, first, second, stream],
    queryFn: async ({ signal }) => {
      const [before, after] = await Promise.all(
        [first, second].map((attempt) => endOf(id, attempt, stream, signal)),
      );
      const edits = diffLines(before?.lines ?? [], after?.lines ?? [], MAX_DIFFERENCES);
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
  const note = cut ? ` Compared only the last ${LINES.toLocaleString("en")} lines.` : "";
  if (edits === null) {
    return <p className="muted">{`More than ${MAX_DIFFERENCES} lines differ.${note}`}</p>;
  }
  if (edits.every((edit) => edit.kind === "same")) {
    return <p className="muted">{`No differences.${note}`}</p>;
  }
  return (
    <>
      <pre className={styles.diff} tabIndex={0}>
        {condensed(edits, CONTEXT).map((edit, index) =>
          edit === null ? (
            <span key={index} className={`${styles.line} muted`}>
              …{"\n"}
            </span>
          ) : (
            <span key={index} className={`${styles.line} ${styles[edit.kind] ?? ""}`}>
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
  const lines = found.lines.map(plainText).filter((line) => line !== "::endgroup::");
  return {
    lines: lines.map((line) => line.replace(/^::group::/, "▾ ")),
    cut: found.first > 0 || found.cut,
  };
}
