import { type KeyboardEvent, useEffect, useId, useRef, useState } from "react";

import type { PipelineSummary, ProgramPartitions } from "@/api/schema";
import { Button } from "@/components/Button";
import { QueryPlaceholder } from "@/components/QueryPlaceholder";
import { followLink, navigate, pipelineUrl } from "@/lib/location";
import { plural } from "@/lib/time";
import { visible } from "@/lib/visible";
import { BackfillDialog } from "@/partitions/BackfillDialog";
import {
  type Column,
  columnsOf,
  columnText,
  countsOf,
  headings,
  LETTERS,
  type PartitionLetter,
  placeOf,
  STATES,
  stepText,
} from "@/partitions/model/partitions";
import styles from "@/partitions/PartitionMap.module.css";
import { usePartitions } from "@/partitions/usePartitions";
import page from "@/programs/ProgramPage.module.css";

/** Columns that PgUp and PgDn move by. */
const PAGE = 30;

/** The partitions of a program by their steps; nothing for a program without partitions. */
export function PartitionMap({ pipelines }: { pipelines: readonly PipelineSummary[] }) {
  const query = usePartitions(pipelines);
  const { data, isEnabled } = query;
  if (!isEnabled) return null;
  if (data === undefined)
    return (
      <section aria-label="Partitions">
        <QueryPlaceholder query={query} rows={5} />
      </section>
    );
  return data.partitions === null || data.keys.length === 0 ? null : <Map found={data} />;
}

function Map({ found }: { found: ProgramPartitions }) {
  const [only, setOnly] = useState<PartitionLetter | null>(null);
  const [chosen, setChosen] = useState<number | null>(null);
  const [backfill, setBackfill] = useState<"missing" | "failed" | "stale" | null>(null);
  const counts = countsOf(found.states);
  const filter = only !== null && counts[only] > 0 ? only : null;
  const { columns, unit } = columnsOf(found, filter);
  const at = columns.findIndex(
    ({ first, end }) => chosen !== null && first <= chosen && chosen < end,
  );
  const steps = found.steps.length === 0 ? "" : ` × ${plural(found.steps.length, "step")}`;
  const note = unit === "partition" ? "" : `; a column is a ${unit}`;
  return (
    <section aria-labelledby="partitions">
      <div className={page.head}>
        <h2 id="partitions">Partitions</h2>
        <span className={page.note}>
          {`${plural(found.keys.length + found.more, "partition")}${steps}${note}`}
        </span>
        <span className="page-grow" />
        {(["m", "f", "s"] as const).map((letter) =>
          counts[letter] === 0 ? null : (
            <Button
              key={letter}
              onClick={() => setBackfill(STATES[letter] as "missing" | "failed" | "stale")}
            >
              {`Backfill ${counts[letter].toLocaleString("en")} ${STATES[letter]}`}
            </Button>
          ),
        )}
      </div>
      <div className={styles.legend} role="group" aria-label="Filter by state">
        {LETTERS.map((letter) =>
          counts[letter] === 0 ? null : (
            <button
              key={letter}
              type="button"
              aria-pressed={filter === letter}
              onClick={() => setOnly(filter === letter ? null : letter)}
            >
              <span className={styles.cell} data-state={letter} aria-hidden />
              {`${counts[letter].toLocaleString("en")} ${STATES[letter]}`}
            </button>
          ),
        )}
      </div>
      <Grid found={found} columns={columns} at={at} onChoose={setChosen} />
      {columns[at] === undefined ? null : <Detail found={found} column={columns[at]} />}
      {found.complete ? null : (
        <p className="muted">Not all pipelines were read in time. The next update continues.</p>
      )}
      {backfill === null || found.pipeline === null ? null : (
        <BackfillDialog
          pipeline={found.pipeline}
          only={backfill}
          count={counts[LETTERS.find((letter) => STATES[letter] === backfill) ?? "m"]}
          onClose={() => setBackfill(null)}
        />
      )}
    </section>
  );
}

interface GridProps {
  found: ProgramPartitions;
  columns: readonly Column[];
  /** Index of the chosen column, or -1. */
  at: number;
  /** Choose the worst partition of a column. */
  onChoose: (partition: number) => void;
}

/**
 * The columns are one stop of the Tab key: arrow keys, PgUp, PgDn, Home and End choose one, and
 * Enter opens its pipeline.
 */
function Grid({ found, columns, at, onChoose }: GridProps) {
  const names = useId();
  const scroller = useRef<HTMLDivElement>(null);
  const length = columns.length;
  useEffect(() => {
    const box = scroller.current;
    if (box !== null) box.scrollLeft = box.scrollWidth; // the newest are at the end
  }, [length]);
  useEffect(() => {
    document.getElementById(`${names}-${at}`)?.scrollIntoView({ block: "nearest" });
  }, [at, names]);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const now = at < 0 ? length - 1 : at;
    const column = columns[event.key === "Enter" ? now : target(event.key, now, length)];
    if (column === undefined) return;
    event.preventDefault();
    const place = placeOf(found, column.worst);
    if (event.key !== "Enter") onChoose(column.worst);
    else if (place !== null) navigate(pipelineUrl(place.pipeline, place.path));
  };
  const heads = headings(found, columns);
  return (
    <div className={styles.map}>
      <div className={styles.names} aria-hidden>
        <span />
        {found.steps.map(({ name }) => (
          <span key={name} className="clip" title={visible(name)}>
            {visible(name)}
          </span>
        ))}
        {found.steps.length === 0 ? <span /> : null}
      </div>
      <div
        ref={scroller}
        className={styles.columns}
        role="listbox"
        aria-orientation="horizontal"
        aria-label="Partitions by state"
        aria-activedescendant={length === 0 ? undefined : `${names}-${at < 0 ? length - 1 : at}`}
        tabIndex={0}
        onKeyDown={onKeyDown}
      >
        {columns.map((column, place) => (
          <div
            key={column.first}
            id={`${names}-${place}`}
            role="option"
            aria-selected={place === at}
            aria-label={columnText(found, column)}
            title={columnText(found, column)}
            className={styles.column}
            onClick={() => onChoose(column.worst)}
          >
            <span className={styles.heading} aria-hidden>
              {heads[place]}
            </span>
            <Cells column={column} />
          </div>
        ))}
      </div>
    </div>
  );
}

function Cells({ column }: { column: Column }) {
  const { steps, state } = column;
  if (steps.length === 0 || state === "m")
    return Array.from({ length: Math.max(1, steps.length) }, (_, place) => (
      <span key={place} className={styles.cell} data-state={column.counts.m > 0 ? "m" : state} />
    ));
  return steps.map((letter, place) => (
    <span key={place} className={styles.cell} data-state={letter} />
  ));
}

function target(key: string, at: number, length: number): number {
  const moves: Record<string, number> = {
    ArrowLeft: at - 1,
    ArrowRight: at + 1,
    PageUp: Math.max(0, at - PAGE),
    PageDown: Math.min(length - 1, at + PAGE),
    Home: 0,
    End: length - 1,
  };
  return moves[key] ?? -1;
}

/** The chosen partition, or those of the chosen column that are not done. */
function Detail({ found, column }: { found: ProgramPartitions; column: Column }) {
  const indices = Array.from({ length: column.end - column.first }, (_, n) => column.first + n);
  const attention = indices.filter((index) => found.states[index] !== "d");
  const listed = attention.length === 0 ? indices : attention;
  const shown = listed.slice(0, MAX_DETAILS);
  const more = listed.length - shown.length;
  return (
    <div className={styles.detail} role="status">
      {indices.length > 1 ? <strong>{columnText(found, column)}</strong> : null}
      {shown.map((index) => (
        <Partition key={index} found={found} index={index} />
      ))}
      {more === 0 ? null : <span className="muted">{`and ${more.toLocaleString("en")} more`}</span>}
    </div>
  );
}

const MAX_DETAILS = 10;

function Partition({ found, index }: { found: ProgramPartitions; index: number }) {
  const state = found.states[index] as PartitionLetter;
  const place = placeOf(found, index);
  const steps = found.steps
    .map(({ name, states }) => ({ name, letter: states[index] ?? "-" }))
    .filter(({ letter }) => letter !== "-");
  return (
    <div className={styles.partition}>
      <strong className="mono">{visible(found.keys[index] ?? "")}</strong>
      <span className={styles.state} data-state={state}>
        {STATES[state]}
      </span>
      {place === null ? (
        <span className="muted">No pipeline has run it.</span>
      ) : (
        <>
          <span className="muted">
            {steps.map(({ name, letter }) => `${visible(name)} ${stepText(letter)}`).join(", ")}
          </span>
          <a
            className="button"
            href={pipelineUrl(place.pipeline, place.path)}
            onClick={followLink}
          >{`Open ${place.pipeline}`}</a>
        </>
      )}
    </div>
  );
}
