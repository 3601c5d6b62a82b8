import { useState } from "react";

import type { PipelineSummary } from "@/api/schema";
import { Loading } from "@/components/Loading";
import { followLink, pipelineUrl } from "@/lib/location";
import { duration, moment } from "@/lib/time";
import { visible } from "@/lib/visible";
import { compare } from "@/model/programRuns";
import { pipelineState } from "@/model/pipelineStatus";
import { stateLabel } from "@/model/states";
import styles from "@/pages/program/ProgramPage.module.css";
import { MAX_COMPARED, useNodes } from "@/pages/program/useProgram";
import { PROGRAM } from "@/strings";

/** Number of paths that are named; the others are counted. */
const NAMED = 4;

/** Two pipelines side by side: at first the newest and the one before it. */
export function CompareRuns({ pipelines }: { pipelines: readonly PipelineSummary[] }) {
  const [first, setFirst] = useState(pipelines[1]?.pipeline.id);
  const [second, setSecond] = useState(pipelines[0]?.pipeline.id);
  const before = useNodes(first);
  const after = useNodes(second);
  const isCut = [before, after].some(({ data }) => (data?.length ?? 0) >= MAX_COMPARED);
  return (
    <section aria-labelledby="compare">
      <h2 id="compare">{PROGRAM.compare}</h2>
      <div className={styles.choices}>
        <Choice label={PROGRAM.first} value={first} pipelines={pipelines} onChange={setFirst} />
        <Choice label={PROGRAM.second} value={second} pipelines={pipelines} onChange={setSecond} />
      </div>
      {before.data === undefined || after.data === undefined ? (
        <Loading rows={4} />
      ) : (
        <Differences id={second ?? ""} result={compare(before.data, after.data)} />
      )}
      {isCut ? <p className="muted">{PROGRAM.cut(MAX_COMPARED.toLocaleString("en"))}</p> : null}
    </section>
  );
}

interface ChoiceProps {
  label: string;
  value: string | undefined;
  pipelines: readonly PipelineSummary[];
  onChange: (id: string) => void;
}

function Choice({ label, value, pipelines, onChange }: ChoiceProps) {
  return (
    <select
      className="field"
      aria-label={label}
      value={value ?? ""}
      onChange={(event) => onChange(event.target.value)}
    >
      {pipelines.map((one) => (
        <option key={one.pipeline.id} value={one.pipeline.id}>
          {`${one.pipeline.id}, ${stateLabel(pipelineState(one))}, ${moment(one.pipeline.created)}`}
        </option>
      ))}
    </select>
  );
}

function Differences({ id, result }: { id: string; result: ReturnType<typeof compare> }) {
  const slower = result.slower.map(({ path, seconds }) => ({
    path,
    text: `${visible(path)} +${duration(seconds)}`,
  }));
  const named = (paths: readonly string[]) => paths.map((path) => ({ path, text: visible(path) }));
  const rows = [
    { label: PROGRAM.newlyFailing, items: named(result.newlyFailing) },
    { label: PROGRAM.fixed, items: named(result.fixed) },
    { label: PROGRAM.slower, items: slower },
    { label: PROGRAM.changedCommands, items: named(result.changedCommands) },
    { label: PROGRAM.added, items: named(result.added) },
    { label: PROGRAM.removed, items: named(result.removed), gone: true },
  ].filter(({ items }) => items.length > 0);
  if (rows.length === 0) return <p className="muted">{PROGRAM.noDifference}</p>;
  return (
    <table className="list">
      <tbody>
        {rows.map(({ label, items, gone = false }) => (
          <tr key={label}>
            <td className="list-number">{items.length.toLocaleString("en")}</td>
            <th scope="row">{label}</th>
            <td className="mono">
              {items.slice(0, NAMED).map(({ path, text }) => (
                <span key={path} className={styles.path}>
                  {gone ? (
                    text
                  ) : (
                    <a href={pipelineUrl(id, path)} onClick={followLink}>
                      {text}
                    </a>
                  )}
                </span>
              ))}
              {items.length > NAMED ? PROGRAM.more(items.length - NAMED) : null}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
