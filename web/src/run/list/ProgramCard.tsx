import { useId, useState, type Ref } from "react";

import type { RunHistory } from "@/api/schema";
import { Icon } from "@/components/Icon";
import { useNow } from "@/components/useNow";
import { followLink, programUrl } from "@/lib/location";
import { programQuery } from "@/programs/model/programIdentity";
import type { Program } from "@/programs/model/programs";
import { historySummary, isAnyActive } from "@/programs/model/runs";
import { PipelineRow } from "@/run/list/PipelineRow";
import styles from "@/run/list/ProgramCard.module.css";
import { RunStrip } from "@/run/list/RunStrip";

/** Pipelines of a program that are shown before it is expanded, and added with each click. */
const SHOWN = 3;
const MORE = 20;

interface Props {
  index: number;
  measure: Ref<HTMLElement>;
  program: Program;
  history: RunHistory | undefined;
  chosen: ReadonlySet<string>;
  onToggle: (id: string) => void;
}

/** A program: its history, its newest pipeline with its action, and earlier ones. */
export function ProgramCard({ index, measure, program, history, chosen, onToggle }: Props) {
  const [shown, setShown] = useState(SHOWN);
  const heading = useId();
  const { pipelines } = program;
  const hidden = pipelines.length - shown;
  return (
    <section ref={measure} data-index={index} className={styles.place} aria-labelledby={heading}>
      <div className={styles.card}>
        <Head program={program} history={history} heading={heading} />
        <ul>
          {pipelines.slice(0, shown).map((one, place) => (
            <PipelineRow
              key={one.pipeline.id}
              summary={one}
              program={program.name}
              history={history}
              newest={place === 0}
              chosen={chosen.has(one.pipeline.id)}
              onToggle={() => onToggle(one.pipeline.id)}
            />
          ))}
        </ul>
        {hidden <= 0 ? null : (
          <button type="button" className={styles.more} onClick={() => setShown(shown + MORE)}>
            {`${hidden.toLocaleString("en")} earlier`}
          </button>
        )}
      </div>
    </section>
  );
}

interface HeadProps {
  program: Program;
  history: RunHistory | undefined;
  heading: string;
}

function Head({ program: { name, script, pipelines }, history, heading }: HeadProps) {
  const now = useNow(true);
  const newest = pipelines[0]?.pipeline;
  const isCloud = newest?.mode === "cloud";
  const target = isCloud ? "In the cloud" : `On this machine, ${newest?.engine ?? ""}`;
  return (
    <div className={styles.head}>
      <span className={styles.target} title={target}>
        <Icon name={isCloud ? "cloud" : "laptop"} label={target} />
      </span>
      <h2 id={heading} className={`${styles.title} clip`}>
        <a
          href={newest === undefined ? undefined : programUrl(programQuery(newest))}
          onClick={followLink}
          title={name}
        >
          {name}
        </a>
      </h2>
      <span className={`${styles.facts} clip`}>
        {[script, history === undefined ? "" : historySummary(history)]
          .filter((text) => text !== null && text !== "")
          .join(", ")}
      </span>
      {history === undefined || history.runs.length < 2 ? null : (
        <RunStrip history={history} now={isAnyActive(history) ? now : 0} />
      )}
    </div>
  );
}
