import type { PipelineSummary } from "@/api/schema";
import { Button } from "@/components/Button";
import { CopyButton } from "@/components/CopyButton";
import { QueryPlaceholder } from "@/components/QueryPlaceholder";
import { setQuery } from "@/lib/location";
import { moment, plural } from "@/lib/time";
import { pipelineState } from "@/run/model/pipelineStatus";
import { stateLabel } from "@/run/model/states";
import styles from "@/programs/CompareRuns.module.css";
import { Differences } from "@/programs/Differences";
import page from "@/programs/ProgramPage.module.css";
import { useComparison } from "@/programs/useProgram";

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
        <h2 id="compare">Compare two pipelines</h2>
        {data === undefined ? null : (
          <span className={page.note}>{`${plural(data.nodes, "command")} in both`}</span>
        )}
        <span className={styles.tools}>
          <CopyButton text={`conducto compare ${before} ${after}`} label="Copy command" />
          <Button variant="quiet" onClick={() => setQuery({ before: after, after: before }, true)}>
            Swap
          </Button>
        </span>
      </div>
      <div className={styles.choices}>
        <Choice
          label="First pipeline"
          letter="A"
          value={before}
          pipelines={pipelines}
          name="before"
        />
        <span className="muted">and</span>
        <Choice
          label="Second pipeline"
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
            {one.pipeline.id}, {stateLabel(pipelineState(one))}, {moment(one.pipeline.created)}
          </option>
        ))}
      </select>
    </label>
  );
}
