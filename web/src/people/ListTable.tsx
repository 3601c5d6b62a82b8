import type { ReactNode } from "react";

import { useNow } from "@/components/useNow";
import { formatDate, formatDateTitle } from "@/lib/formatDate";
import styles from "@/people/Table.module.css";

interface Props {
  /** Titles of the columns. */
  columns: readonly string[];
  /** Title of the last column, which has buttons, for screen readers. */
  actions?: string | null;
  className?: string | undefined;
  /** The rows. */
  children: ReactNode;
}

/** A table with a card around it. In a narrow window each row is a block. */
export function ListTable({ columns, actions = null, className = "", children }: Props) {
  return (
    <div className={`card ${styles.card} ${className}`}>
      <table className={`list ${styles.stack}`}>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column} scope="col">
                {column}
              </th>
            ))}
            {actions === null ? null : (
              <th scope="col">
                <span className="sr-only">{actions}</span>
              </th>
            )}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}

/** The cell of a time in the past. */
export function TimeCell({ label, time }: { label: string; time: number }) {
  const now = useNow(true);
  return (
    <td className="muted" data-label={label} title={formatDateTitle(time, now)}>
      {formatDate(time, now)}
    </td>
  );
}
