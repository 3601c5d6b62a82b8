import type { ReactNode } from "react";

import type { PipelineSpent, ProgramSpent } from "@/api/schema";
import { followLink, pipelineUrl } from "@/lib/location";
import { duration, plural } from "@/lib/time";
import { visible } from "@/lib/visible";
import { amountHeadings, amountsOf, isBilled, totalOf } from "@/billing/model/costs";
import { programName, programQuery } from "@/programs/model/programIdentity";
import { type BarRow, BarTable } from "@/billing/BarTable";

/** Maximum rows of a table; one more row has the others. */
const MAX_ROWS = 10;

export function ProgramCosts({ programs }: { programs: readonly ProgramSpent[] }) {
  return (
    <BarTable
      title="By program"
      name="Program"
      columns={["Pipelines", "Worker time", ...amountHeadings(programs)]}
      rows={rowsOf(
        programs,
        (one) => one.pipelines,
        programLink,
        (count: number) => plural(count, "other program"),
      )}
    />
  );
}

function programLink(program: ProgramSpent): ReactNode {
  const query = new URLSearchParams(programQuery(program)).toString();
  return (
    <a href={`/program?${query}`} onClick={followLink}>
      {visible(programName(program)) || "Untitled"}
    </a>
  );
}

export function PipelineCosts({ pipelines }: { pipelines: readonly PipelineSpent[] }) {
  return (
    <BarTable
      title="By pipeline"
      name="Pipeline"
      columns={["Commands", "Worker time", ...amountHeadings(pipelines)]}
      rows={rowsOf(
        pipelines,
        (one) => one.attempts,
        pipelineLink,
        (count: number) => plural(count, "other pipeline"),
      )}
    />
  );
}

function pipelineLink({ id, title }: PipelineSpent): ReactNode {
  return (
    <a href={pipelineUrl(id)} onClick={followLink} title={id}>
      {visible(title) || id}
    </a>
  );
}

/** The most expensive ones, and a row that sums up the others. */
function rowsOf<S extends PipelineSpent | ProgramSpent>(
  all: readonly S[],
  countOf: (one: S) => number,
  nameOf: (one: S) => ReactNode,
  others: (count: number) => string,
): BarRow[] {
  const sorted = all.toSorted((a, b) => totalOf(b) - totalOf(a));
  const more = sorted.slice(MAX_ROWS);
  const sum = (of: (one: S) => number) => more.reduce((before, one) => before + of(one), 0);
  const rows = sorted.slice(0, MAX_ROWS).map((one, place) => ({
    key: String(place),
    name: nameOf(one),
    dollars: totalOf(one),
    numbers: numbers(countOf(one), one.seconds, one.price, totalOf(one)),
  }));
  if (more.length === 0) return rows;
  const rest = numbers(
    sum(countOf),
    sum((one) => one.seconds),
    isBilled(all) ? sum((one) => one.price ?? 0) : null,
    sum(totalOf),
  );
  return [...rows, { key: "more", name: others(more.length), dollars: null, numbers: rest }];
}

function numbers(count: number, seconds: number, price: number | null, cost: number): string[] {
  return [count.toLocaleString("en"), duration(seconds), ...amountsOf(price, cost)];
}
