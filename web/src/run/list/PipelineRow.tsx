import type { PipelineSummary, RunHistory } from "@/api/schema";
import { CountsBar } from "@/components/Counts";
import { Icon } from "@/components/Icon";
import { StateLabel } from "@/components/StateIcon";
import { useNow } from "@/components/useNow";
import { formatDate, formatDateTitle } from "@/lib/formatDate";
import { followLink, pipelineUrl, setQuery } from "@/lib/location";
import { parseReference } from "@/lib/references";
import { ago, duration } from "@/lib/time";
import { activeTime, wallText } from "@/run/model/activity";
import { pipelineState } from "@/run/model/pipelineStatus";
import { titleWithin } from "@/programs/model/programIdentity";
import { headline, initials } from "@/programs/model/programs";
import styles from "@/run/list/PipelineRow.module.css";
import { RowAction } from "@/run/list/RowAction";

const LIFECYCLE_NOTE = { sleeping: "sleeping", archived: "archived" };

interface Props {
  summary: PipelineSummary;
  /** Name of its program. */
  program: string;
  history: RunHistory | undefined;
  /** The newest pipeline of its program has a bar and its main action. */
  newest: boolean;
  chosen: boolean;
  onToggle: () => void;
}

export function PipelineRow({ summary, program, history, newest, chosen, onToggle }: Props) {
  const { pipeline, counts } = summary;
  const now = useNow(true);
  const took = activeTime(summary, now);
  const title = titleWithin(pipeline.title, program);
  return (
    <li className={`${styles.row} ${newest ? styles.newest : ""} ${chosen ? styles.chosen : ""}`}>
      <input
        type="checkbox"
        className={styles.check}
        aria-label={`Select ${pipeline.title} ${pipeline.id}`}
        checked={chosen}
        onChange={onToggle}
      />
      <span>
        <StateLabel state={pipelineState(summary)} />
      </span>
      <span className={styles.main}>
        <a className={styles.title} href={pipelineUrl(pipeline.id)} onClick={followLink}>
          <span className="sr-only">{pipeline.title}: </span>
          <span className={`${styles.headline} clip`}>{headline(summary, history, now)}</span>
          {title === "" ? null : (
            <span className={`${styles.own} clip`} title={pipeline.title} aria-hidden>
              {title}
            </span>
          )}
          <code className={styles.id}>{parseReference(pipeline.id).id}</code>
        </a>
        {newest ? <CountsBar counts={counts} /> : null}
        <Note summary={summary} />
        <Machine summary={summary} now={now} />
      </span>
      <Tags tags={pipeline.tags} />
      <Owner name={pipeline.owner} />
      <span className={styles.date} title={formatDateTitle(pipeline.created, now)}>
        {formatDate(pipeline.created, now)}
      </span>
      <span className={styles.time} title={wallText(summary, now) ?? undefined}>
        {took === null ? "" : duration(took)}
      </span>
      <span className={styles.action}>{newest ? <RowAction summary={summary} /> : null}</span>
    </li>
  );
}

/** Anything unusual about the pipeline itself. */
function Note({ summary: { pipeline } }: { summary: PipelineSummary }) {
  if (pipeline.problem !== null) {
    return <span className={styles.problem}>{`Paused: ${pipeline.problem}`}</span>;
  }
  return pipeline.lifecycle === "active" ? null : (
    <span className={styles.note}>{LIFECYCLE_NOTE[pipeline.lifecycle]}</span>
  );
}

/** The machine of a linked agent, and the age of its data while it is offline. */
function Machine({ summary: { agent }, now }: { summary: PipelineSummary; now: number }) {
  if (agent === null) return null;
  const { host, online, seen } = agent;
  return (
    <span className={styles.note}>
      {online ? `on ${host}` : `on ${host}, offline, as of ${ago(seen, now)}`}
    </span>
  );
}

function Tags({ tags }: { tags: readonly string[] }) {
  return (
    <span className={styles.tags}>
      {tags.map((tag) => (
        <button
          key={tag}
          type="button"
          className={styles.tag}
          title={`Show pipelines with tag ${tag}`}
          onClick={() => setQuery({ tag })}
        >
          <Icon name="tag" />
          <span className="clip">{tag}</span>
        </button>
      ))}
    </span>
  );
}

function Owner({ name }: { name: string }) {
  return name === "" ? (
    <span className={styles.owner} />
  ) : (
    <span className={styles.owner} title={name}>
      <span className={styles.initials} aria-hidden>
        {initials(name)}
      </span>
      <span className="clip">{name}</span>
    </span>
  );
}
