import type { PipelineSummary } from "@/api/schema";
import { followLink, pipelineUrl, setQuery } from "@/app/location";
import { ago, duration, elapsed, moment } from "@/lib/time";
import { CountsBar, CountsText } from "@/ui/Counts";
import { StateLabel } from "@/ui/StateMark";
import { useNow } from "@/ui/useNow";

interface Props {
  pipelines: readonly PipelineSummary[];
  chosen: ReadonlySet<string>;
  onChoose: (chosen: ReadonlySet<string>) => void;
}

export function PipelineTable({ pipelines, chosen, onChoose }: Props) {
  const all = pipelines.length > 0 && pipelines.every((one) => chosen.has(one.pipeline.id));
  const toggleAll = () =>
    onChoose(all ? new Set() : new Set(pipelines.map((one) => one.pipeline.id)));
  const toggle = (id: string) => {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    onChoose(next);
  };
  return (
    <table className="ptable">
      <thead>
        <tr>
          <th className="ptable-check">
            <input type="checkbox" aria-label="Select all" checked={all} onChange={toggleAll} />
          </th>
          <th>State</th>
          <th>Pipeline</th>
          <th className="ptable-counts">Execs</th>
          <th className="ptable-extra">Runs</th>
          <th className="ptable-extra">Launched</th>
          <th className="ptable-time">Time</th>
        </tr>
      </thead>
      <tbody>
        {pipelines.map((one) => (
          <PipelineRow
            key={one.pipeline.id}
            summary={one}
            chosen={chosen.has(one.pipeline.id)}
            onToggle={() => toggle(one.pipeline.id)}
          />
        ))}
      </tbody>
    </table>
  );
}

interface RowProps {
  summary: PipelineSummary;
  chosen: boolean;
  onToggle: () => void;
}

function PipelineRow({ summary, chosen, onToggle }: RowProps) {
  const { pipeline, counts, state, settled, started, ended } = summary;
  const now = useNow(true);
  const took = elapsed(started, settled ? ended : null, now);
  return (
    <tr className={chosen ? "chosen" : ""}>
      <td className="ptable-check">
        <input
          type="checkbox"
          aria-label={`Select ${pipeline.title} ${pipeline.id}`}
          checked={chosen}
          onChange={onToggle}
        />
      </td>
      <td>
        <StateLabel mark={state} />
        <div className="muted ptable-small">{standing(summary)}</div>
      </td>
      <td className="ptable-main">
        <a
          className="ptable-title"
          href={pipelineUrl(pipeline.id)}
          onClick={followLink}
          title={pipeline.title}
        >
          {pipeline.title}
        </a>
        <div className="ptable-sub">
          <code className="muted">{pipeline.id}</code>
          {pipeline.tags.map((tag) => (
            <button key={tag} type="button" className="tag" onClick={() => setQuery({ tag })}>
              {tag}
            </button>
          ))}
          <span className="muted clip">{pipeline.owner}</span>
        </div>
      </td>
      <td className="ptable-counts">
        <CountsText counts={counts} />
        <CountsBar counts={counts} />
      </td>
      <td className="ptable-extra muted">
        {pipeline.mode === "local" ? `here, ${pipeline.engine}` : "cloud"}
      </td>
      <td className="ptable-extra muted" title={moment(pipeline.created)}>
        {ago(pipeline.created, now)}
      </td>
      <td className="ptable-time number">{took === null ? "–" : duration(took)}</td>
    </tr>
  );
}

/** What the state of the tree does not say: paused, asleep, archived. */
function standing({ pipeline, settled, state }: PipelineSummary): string {
  if (pipeline.lifecycle !== "active") return pipeline.lifecycle;
  if (pipeline.problem !== null) return "paused by itself";
  if (!pipeline.armed) return "not running";
  return settled || state === "running" ? "" : "goes on";
}
