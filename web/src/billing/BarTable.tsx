import type { ReactNode } from "react";

import { CostBar } from "@/billing/CostBar";
import styles from "@/billing/BarTable.module.css";
import table from "@/people/Table.module.css";

export interface BarRow {
  key: string;
  name: ReactNode;
  /** The length of the bar; null for a row about several others. */
  dollars: number | null;
  numbers: readonly string[];
}

interface Props {
  title: string;
  name: string;
  /** Titles of the numbers; a narrow window has only the last column of them. */
  columns: readonly string[];
  rows: readonly BarRow[];
}

/** Amounts of money, each with a bar. */
export function BarTable({ title, name, columns, rows }: Props) {
  const max = Math.max(...rows.map((row) => row.dollars ?? 0));
  const classOf = (place: number) =>
    place === columns.length - 1 ? "list-number" : `list-number ${styles.extra}`;
  return (
    <section className={table.section}>
      <h2>{title}</h2>
      <div className={`card ${table.card}`}>
        <table className="list" aria-label={title}>
          <thead>
            <tr>
              <th scope="col">{name}</th>
              <th scope="col" className={styles.bars} aria-hidden />
              {columns.map((column, place) => (
                <th key={column} scope="col" className={classOf(place)}>
                  {column}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={row.key}>
                <th scope="row" className={`${styles.name} ${row.dollars === null ? "muted" : ""}`}>
                  {row.name}
                </th>
                <td className={styles.bars} aria-hidden>
                  {row.dollars === null ? null : (
                    <CostBar parts={[{ kind: "workers", dollars: row.dollars }]} max={max} />
                  )}
                </td>
                {row.numbers.map((text, place) => (
                  <td key={place} className={`number ${classOf(place)}`}>
                    {text}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
