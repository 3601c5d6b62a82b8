import { useQueries } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";

import { api } from "@/api/client";
import type { MonthSpent, PipelineSpent, ProgramSpent, Usage } from "@/api/schema";
import { Share } from "@/billing/Bill";
import { CostBar, CostList } from "@/billing/CostBar";
import {
  changeText,
  isBilled,
  monthName,
  monthsBetween,
  sumsOf,
  totalOf,
} from "@/billing/model/costs";
import styles from "@/billing/PlanPage.module.css";
import { Button } from "@/components/Button";
import segments from "@/components/Segments.module.css";
import { followLink, pipelineUrl, programUrl } from "@/lib/location";
import { dollars } from "@/lib/money";
import { bytes, duration, plural } from "@/lib/time";
import { visible } from "@/lib/visible";
import { programKey, programName, programQuery } from "@/programs/model/programIdentity";

/** Maximum rows of a table; one more row has the others. */
const MAX_ROWS = 10;
/** Programs whose sizes are checked for savings: the most expensive ones. */
const MAX_CHECKED = 3;

/** The cost of a month at AWS. */
export function Estimate({ month }: { month: MonthSpent }) {
  const parts = sumsOf(month);
  return (
    <section className={`card ${styles.card}`}>
      <h2>{`${monthName(month.month)} at AWS`}</h2>
      <p className={styles.amount}>
        <strong className="number">{dollars(totalOf(month))}</strong>
      </p>
      <CostBar parts={parts} />
      <CostList parts={parts} />
    </section>
  );
}

interface MonthsProps {
  months: readonly MonthSpent[];
  chosen: string;
  onChoose: (month: string) => void;
}

/** The cost of each month as a column; one is chosen. */
export function ByMonth({ months, chosen, onChoose }: MonthsProps) {
  const costs = new Map(months.map((one) => [one.month, one.price ?? totalOf(one)]));
  const max = Math.max(Number.MIN_VALUE, ...costs.values());
  return (
    <section className={`card ${styles.card}`}>
      <h2>{isBilled(months) ? "Price by month" : "By month"}</h2>
      <div className={styles.columns}>
        <span className={styles.most}>{dollars(max)}</span>
        {monthsBetween([...costs.keys()]).map((month) => (
          <button
            key={month}
            type="button"
            aria-pressed={month === chosen}
            title={`${monthName(month)}: ${dollars(costs.get(month) ?? 0)}`}
            disabled={!costs.has(month)}
            onClick={() => onChoose(month)}
          >
            <i style={{ height: `${(100 * (costs.get(month) ?? 0)) / max}%` }} />
            {monthName(month).slice(0, 3)}
          </button>
        ))}
      </div>
    </section>
  );
}

type Spent = ProgramSpent | PipelineSpent;

interface SpendingProps {
  usage: Usage;
  month: string;
  onChoose: (month: string) => void;
}

/** The cost of a month by program or by pipeline. */
export function Spending({ usage, month, onChoose }: SpendingProps) {
  const [by, setBy] = useState<"programs" | "pipelines">("programs");
  const all: readonly Spent[] = usage[by];
  const before = usage.months[usage.months.findIndex((one) => one.month === month) + 1]?.month;
  const earlier = new Map(
    all.filter((one) => one.month === before).map((one) => [keyOf(one), one]),
  );
  const own = all
    .filter((one) => one.month === month)
    .toSorted((one, other) => amountOf(other) - amountOf(one));
  const max = own[0] === undefined ? 0 : amountOf(own[0]);
  const isLater = before !== undefined && by === "programs";
  const headings = [
    by === "programs" ? "Pipelines" : "Commands",
    "Worker time",
    "Cost",
    ...(isLater ? [`Against ${monthName(before).slice(0, 3)}`] : []),
  ];
  return (
    <section className={styles.section}>
      <div className={styles.row}>
        <h2>Where it went</h2>
        <div className={segments.segments} role="group" aria-label="By">
          {(["programs", "pipelines"] as const).map((one) => (
            <Button key={one} aria-pressed={one === by} onClick={() => setBy(one)}>
              {one === "programs" ? "Programs" : "Pipelines"}
            </Button>
          ))}
        </div>
        <span className="page-grow" />
        <select
          className="field"
          aria-label="Month"
          value={month}
          onChange={(event) => onChoose(event.currentTarget.value)}
        >
          {usage.months.map((one) => (
            <option key={one.month} value={one.month}>
              {monthName(one.month)}
            </option>
          ))}
        </select>
      </div>
      <div className={`card ${styles.table}`}>
        <table className="list" aria-label="Where it went">
          <thead>
            <tr>
              <th scope="col">{by === "programs" ? "Program" : "Pipeline"}</th>
              <th scope="col" className={styles.extra} aria-hidden />
              {headings.map((one, place) => (
                <th key={one} scope="col" className={classOf(place)}>
                  {one}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {own.slice(0, MAX_ROWS).map((one) => (
              <tr key={keyOf(one)}>
                <th scope="row">{linkOf(one)}</th>
                <td className={styles.extra} aria-hidden>
                  <Share amount={amountOf(one)} max={max} />
                </td>
                {[
                  ...numbersOf([one]),
                  ...(isLater
                    ? [changeText(amountOf(one), amountOf(earlier.get(keyOf(one))))]
                    : []),
                ].map((text, place) => (
                  <td key={place} className={`number ${classOf(place)}`}>
                    {text}
                  </td>
                ))}
              </tr>
            ))}
            {own.length <= MAX_ROWS ? null : (
              <Others rest={own.slice(MAX_ROWS)} by={by} isLater={isLater} />
            )}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Others({ rest, by, isLater }: { rest: readonly Spent[]; by: string; isLater: boolean }) {
  return (
    <tr className="muted">
      <th scope="row">{`${plural(rest.length, "other")} ${by}`}</th>
      <td className={styles.extra} aria-hidden />
      {[...numbersOf(rest), ...(isLater ? [""] : [])].map((text, place) => (
        <td key={place} className={`number ${classOf(place)}`}>
          {text}
        </td>
      ))}
    </tr>
  );
}

/** A narrow window leaves out the first two numbers. */
const classOf = (place: number) => `list-number ${place < 2 ? (styles.extra ?? "") : ""}`;

const keyOf = (one: Spent) => ("id" in one ? one.id : programKey(one));

const amountOf = (one: Spent | undefined) => (one === undefined ? 0 : (one.price ?? totalOf(one)));

function numbersOf(all: readonly Spent[]): string[] {
  const sum = (of: (one: Spent) => number) => all.reduce((before, one) => before + of(one), 0);
  return [
    sum((one) => ("id" in one ? one.attempts : one.pipelines)).toLocaleString("en"),
    duration(sum((one) => one.seconds)),
    dollars(sum(amountOf)),
  ];
}

function linkOf(one: Spent): ReactNode {
  const [href, name] =
    "id" in one
      ? [pipelineUrl(one.id), visible(one.title) || one.id]
      : [programUrl(programQuery(one)), visible(programName(one)) || "Untitled"];
  return (
    <a href={href} onClick={followLink}>
      {name}
    </a>
  );
}

/** Smaller sizes for commands of the most expensive programs. */
export function Savings({ usage }: { usage: Usage }) {
  const newest = usage.months[0]?.month;
  const programs = usage.programs.filter((one) => one.month === newest).slice(0, MAX_CHECKED);
  const found = useQueries({
    queries: programs.map((one) => ({
      queryKey: ["savings", programKey(one)],
      queryFn: ({ signal }: { signal: AbortSignal }) =>
        api.nodeHistory("", { ...programQuery(one), limit: MAX_CHECKED }, signal),
      staleTime: Infinity,
    })),
  });
  const advice = programs
    .flatMap((program, place) =>
      (found[place]?.data?.sizes ?? []).map((size) => ({ program, ...size })),
    )
    .filter((one) => one.dollars_month > 0)
    .toSorted((one, other) => other.dollars_month - one.dollars_month)
    .slice(0, MAX_CHECKED);
  if (advice.length === 0) return null;
  return (
    <section className={styles.section}>
      <h2>Spend less</h2>
      <ul className={`card ${styles.entries}`}>
        {advice.map(({ program, path, enough, mem, peak, runs, dollars_month: saved }) => (
          <li key={`${programKey(program)} ${path}`}>
            <span>
              <a href={programUrl(programQuery(program))} onClick={followLink}>
                {`${visible(programName(program))}: ${enough} GB for ${visible(path)}`}
              </a>
              <br />
              <span className="muted">
                {`${mem} GB asked, at most ${bytes(peak * 2 ** 30)} used in ${plural(runs, "pipeline")}`}
              </span>
            </span>
            <span className="page-grow" />
            <strong className={styles.paid}>{`${dollars(saved)} a month`}</strong>
          </li>
        ))}
      </ul>
    </section>
  );
}
