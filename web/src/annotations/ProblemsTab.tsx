import { useQuery } from "@tanstack/react-query";

import { api } from "@/api/client";
import type { AttemptRecord, NodeAnnotation } from "@/api/schema";
import { QueryPlaceholder } from "@/components/QueryPlaceholder";
import { StateIcon } from "@/components/StateIcon";
import { visible } from "@/lib/visible";
import styles from "@/annotations/ProblemsTab.module.css";
import { isFailed } from "@/run/model/states";

const STATES = { error: "error", warning: "warning", notice: "done" } as const;

/** The messages about lines of files of a node's newest attempt. */
export function useAnnotations(id: string, attempt: AttemptRecord | undefined, newest: boolean) {
  const { path = "", number = 0, state = "pending" } = attempt ?? {};
  const has = isFailed(state) || (attempt?.outputs?.annotations ?? 0) > 0;
  return useQuery({
    queryKey: ["annotations", id, path, number, state],
    queryFn: ({ signal }) => api.annotations(id, { path }, signal),
    enabled: newest && has,
  });
}

interface Props {
  id: string;
  attempt: AttemptRecord;
}

/** The messages about lines of files: of the command, its failed tests, and its output. */
export function ProblemsTab({ id, attempt }: Props) {
  const found = useAnnotations(id, attempt, true);
  if (found.data === undefined) return <QueryPlaceholder query={found} rows={4} />;
  const { annotations, more } = found.data;
  return (
    <>
      <ul className={styles.list} aria-label="Problems">
        {annotations.map((one) => (
          <Problem key={`${one.file}:${one.line} ${one.message}`} annotation={one} />
        ))}
      </ul>
      {more === 0 ? null : <p className="muted">{`${more.toLocaleString("en")} more`}</p>}
    </>
  );
}

function Problem({ annotation }: { annotation: NodeAnnotation }) {
  const { file, line, level, title, message } = annotation;
  return (
    <li className={styles.problem}>
      <div className={styles.line}>
        <span className={`state state-${STATES[level]}`}>
          <StateIcon state={STATES[level]} />
          {level}
        </span>
        <code>{visible(line === 0 ? file : `${file}:${line}`)}</code>
        {title === "" ? null : <span className="muted">{visible(title)}</span>}
      </div>
      <p className={styles.message}>{visible(message)}</p>
    </li>
  );
}
