import type { ReactNode } from "react";

import type { PipelineSpent, ProgramSpent } from "@/api/schema";
import { CostBar } from "@/components/CostBar";
import { followLink, pipelineUrl } from "@/lib/location";
import { dollars } from "@/lib/money";
import { duration } from "@/lib/time";
import { visible } from "@/lib/visible";
import { totalOf } from "@/model/costs";
import { programName, programQuery } from "@/model/programIdentity";
import table from "@/pages/organisation/Table.module.css";
import styles from "@/pages/organisation/UsagePage.module.css";
import { COST } from "@/strings/cost";

/** Maximum rows of a table; one more row has the others. */
const MAX_ROWS = 10;

type Spent = PipelineSpent | ProgramSpent;

export function ProgramCosts({ programs }: { programs: readonly ProgramSpent[] }) {
  return (
    <CostTable
      title={COST.byProgram}
      name={COST.program}
      count={COST.pipelines}
      rows={programs}
      keyOf={(one) => JSON.stringify(programQuery(one))}
      nameOf={(one) => (
        <a href={programUrl(one)} onClick={followLink}>
          {visible(programName(one)) || COST.untitled}
        </a>
      )}
      countOf={(one) => one.pipelines}
      others={COST.otherPrograms}
    />
  );
}

function programUrl(program: ProgramSpent): string {
  return `/program?${new URLSearchParams(programQuery(program)).toString()}`;
}

export function PipelineCosts({ pipelines }: { pipelines: readonly PipelineSpent[] }) {
  return (
    <CostTable
      title={COST.byPipeline}
      name={COST.pipeline}
      count={COST.commandCount}
      rows={pipelines}
      keyOf={(one) => one.id}
      nameOf={(one) => (
        <a href={pipelineUrl(one.id)} onClick={followLink} title={one.id}>
          {visible(one.title) || one.id}
        </a>
      )}
      countOf={(one) => one.attempts}
      others={COST.otherPipelines}
    />
  );
}

interface TableProps<S> {
  title: string;
  name: string;
  count: string;
  rows: readonly S[];
  keyOf: (row: S) => string;
  nameOf: (row: S) => ReactNode;
  countOf: (row: S) => number;
  others: (count: number) => string;
}

function CostTable<S extends Spent>(props: TableProps<S>) {
  const { title, name, count, keyOf, nameOf, countOf, others } = props;
  const rows = [...props.rows].sort((a, b) => totalOf(b) - totalOf(a));
  const max = totalOf(rows[0] ?? NOTHING);
  const more = rows.slice(MAX_ROWS);
  const sum = (of: (row: S) => number) => more.reduce((before, row) => before + of(row), 0);
  return (
    <section className={table.section}>
      <h2>{title}</h2>
      <div className={`card ${table.card}`}>
        <table className={`list ${styles.table}`} aria-label={title}>
          <thead>
            <tr>
              <th scope="col">{name}</th>
              <th scope="col" className={styles.bars} aria-hidden />
              <th scope="col" className={`list-number ${styles.extra}`}>
                {count}
              </th>
              <th scope="col" className={`list-number ${styles.extra}`}>
                {COST.time}
              </th>
              <th scope="col" className="list-number">
                {COST.cost}
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.slice(0, MAX_ROWS).map((row) => (
              <tr key={keyOf(row)}>
                <th scope="row" className={styles.title}>
                  {nameOf(row)}
                </th>
                <td className={styles.bars} aria-hidden>
                  <CostBar parts={[{ kind: "workers", dollars: totalOf(row) }]} max={max} />
                </td>
                <Numbers count={countOf(row)} seconds={row.seconds} cost={totalOf(row)} />
              </tr>
            ))}
            {more.length === 0 ? null : (
              <tr>
                <th scope="row" className="muted">
                  {others(more.length)}
                </th>
                <td className={styles.bars} aria-hidden />
                <Numbers
                  count={sum(countOf)}
                  seconds={sum((row) => row.seconds)}
                  cost={sum(totalOf)}
                />
              </tr>
            )}
          </tbody>
        </table>
      </div>
    </section>
  );
}

const NOTHING = { dollars: 0, transition_dollars: 0, request_dollars: 0, storage_dollars: 0 };

function Numbers({ count, seconds, cost }: { count: number; seconds: number; cost: number }) {
  return (
    <>
      <td className={`list-number number ${styles.extra}`}>{count.toLocaleString("en")}</td>
      <td className={`list-number number ${styles.extra}`}>{duration(seconds)}</td>
      <td className="list-number number">{dollars(cost)}</td>
    </>
  );
}
