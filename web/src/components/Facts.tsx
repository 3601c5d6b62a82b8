import type { ReactNode } from "react";

import styles from "@/components/Facts.module.css";

interface TableProps {
  /** Name, value and further cells of each row. */
  rows: readonly (readonly [name: string, value: ReactNode, ...rest: ReactNode[]])[];
  head?: readonly string[];
  label?: string;
}

/** A table of names and values. */
export function FactsTable({ rows, head, label }: TableProps) {
  return (
    <table className={styles.table} aria-label={label}>
      {head === undefined ? null : (
        <thead>
          <tr>
            {head.map((name) => (
              <th key={name}>{name}</th>
            ))}
          </tr>
        </thead>
      )}
      <tbody>
        {rows.map(([name, value, ...rest], index) => (
          <tr key={index}>
            <th scope="row">{name}</th>
            <td className="mono">{value}</td>
            {rest.map((cell, place) => (
              <td key={place} className="muted">
                {cell}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** A list of names and values. */
export function FactsList({ facts }: { facts: readonly (readonly [string, string])[] }) {
  return (
    <dl className={styles.list}>
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd className="number">{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** The old and the new value of a change. */
export function Change({ before, after }: { before: string | null; after: string | null }) {
  return (
    <>
      <pre className={styles.old}>{before ?? "not set"}</pre>
      <pre className={styles.new}>{after ?? "not set"}</pre>
    </>
  );
}
