import type { ReactNode } from "react";

import type { PipelineSpent, ProgramSpent } from "@/api/schema";
import { followLink, pipelineUrl } from "@/lib/location";
import { dollars } from "@/lib/money";
import { duration } from "@/lib/time";
import { visible } from "@/lib/visible";
import { totalOf } from "@/model/costs";
import { programName, programQuery } from "@/model/programIdentity";
import { type BarRow, BarTable } from "@/pages/organisation/BarTable";
import { COST } from "@/strings/cost";

/** Maximum rows of a table; one more row has the others. */
const MAX_ROWS = 10;

export function ProgramCosts({ programs }: { programs: readonly ProgramSpent[] }) {
  return (
    <BarTable
      title={COST.byProgram}
      name={COST.program}
      columns={[COST.pipelines, COST.time, COST.cost]}
      rows={rowsOf(programs, (one) => one.pipelines, programLink, COST.otherPrograms)}
    />
  );
}

function programLink(program: ProgramSpent): ReactNode {
  const query = new URLSearchParams(programQuery(program)).toString();
  return (
    <a href={`/program?${query}`} onClick={followLink}>
      {visible(programName(program)) || COST.untitled}
    </a>
  );
}

export function PipelineCosts({ pipelines }: { pipelines: readonly PipelineSpent[] }) {
  return (
    <BarTable
      title={COST.byPipeline}
      name={COST.pipeline}
      columns={[COST.commandCount, COST.time, COST.cost]}
      rows={rowsOf(pipelines, (one) => one.attempts, pipelineLink, COST.otherPipelines)}
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
    numbers: numbers(countOf(one), one.seconds, totalOf(one)),
  }));
  if (more.length === 0) return rows;
  const rest = numbers(
    sum(countOf),
    sum((one) => one.seconds),
    sum(totalOf),
  );
  return [...rows, { key: "more", name: others(more.length), dollars: null, numbers: rest }];
}

function numbers(count: number, seconds: number, cost: number): string[] {
  return [count.toLocaleString("en"), duration(seconds), dollars(cost)];
}
