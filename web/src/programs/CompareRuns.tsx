import type { PipelineSummary } from "@/api/schema";
import { Button } from "@/components/Button";
import { CopyButton } from "@/components/CopyButton";
import { QueryPlaceholder } from "@/components/QueryPlaceholder";
import { setQuery } from "@/lib/location";
import { moment } from "@/lib/time";
import { pipelineState } from "@/run/model/pipelineStatus";
import { stateLabel } from "@/run/model/states";
import styles from "@/programs/CompareRuns.module.css";
import { Differences } from "@/programs/Differences";
import page from "@/programs/ProgramPage.module.css";
import { useComparison } from "@/programs/useProgram";
import { PROGRAM } from "@/programs/texts/program";

interface Props {
  pipelines: readonly PipelineSummary[];
  before: string;
  after: string;
}

/** The differences between any two pipelines of a program; the address has both. */
export function CompareRuns({ pipelines, before, after }: Props) {
  const comparison = useComparison(before, after);
  const { data } = comparison;
  return (
    <section aria-labelledby="compare">
      <div className={page.head}>
        <h2 id="compare">{PROGRAM.compare}</h2>
        {data === undefined ? null : (
          <span className={page.note}>{PROGRAM.bothHave(data.nodes)}</span>
        )}
        <span className={styles.tools}>
          <CopyButton text={PROGRAM.command(before, after)} label={PROGRAM.copyCommand} />
          <Button variant="quiet" onClick={() => setQuery({ before: after, after: before }, true)}>
            {PROGRAM.swap}
          </Button>
        </span>
      </div>
      <div className={styles.choices}>
        <Choice
          label={PROGRAM.first}
          letter="A"
          value={before}
          pipelines={pipelines}
          name="before"
        />
        <span className="muted">{PROGRAM.and}</span>
        <Choice
          label={PROGRAM.second}
          letter="B"
          value={after}
          pipelines={pipelines}
          name="after"
        />
      </div>
      {data === undefined ? (
        <QueryPlaceholder key={`${before} ${after}`} query={comparison} rows={4} />
      ) : (
        <Differences comparison={data} />
      )}
    </section>
  );
}

interface ChoiceProps {
  label: string;
  letter: string;
  value: string;
  pipelines: readonly PipelineSummary[];
  /** The query parameter. */
  name: "before" | "after";
}

function Choice({ label, letter, value, pipelines, name }: ChoiceProps) {
  const isListed = pipelines.some(({ pipeline }) => pipeline.id === value);
  return (
    <label className={styles.choice}>
      <span aria-hidden>{letter}</span>
      <select
        className="field"
        aria-label={label}
        value={value}
        onChange={(event) => setQuery({ [name]: event.target.value }, true)}
      >
        {isListed ? null : <option value={value}>{value}</option>}
        {pipelines.map((one) => (
          <option key={one.pipeline.id} value={one.pipeline.id}>
            {`${one.pipeline.id}, ${stateLabel(pipelineState(one))}, ${moment(one.pipeline.created)}`}
          </option>
        ))}
      </select>
    </label>
  );
}
