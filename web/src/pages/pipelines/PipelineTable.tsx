import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useLayoutEffect, useRef, useState, type Ref } from "react";

import type { PipelineRecord, PipelineSummary, RunHistory } from "@/api/schema";
import { CountsBar, CountsText } from "@/components/Counts";
import { StateLabel } from "@/components/StateIcon";
import { useNow } from "@/components/useNow";
import { toggled } from "@/lib/arrays";
import { formatDate, formatDateTitle } from "@/lib/formatDate";
import { followLink, pipelineUrl, setQuery } from "@/lib/location";
import { duration } from "@/lib/time";
import { activeTime, wallText } from "@/model/activity";
import { pauseText } from "@/model/paused";
import { isAnyActive } from "@/model/runs";
import { RunStrip } from "@/pages/pipelines/RunStrip";

interface Props {
  pipelines: readonly PipelineSummary[];
  /** Recent runs of a pipeline, if loaded. */
  historyOf: (pipeline: PipelineRecord) => RunHistory | undefined;
  chosen: ReadonlySet<string>;
  onChoose: (chosen: ReadonlySet<string>) => void;
  /** Called when the last row is visible; undefined if the list is complete. */
  onEnd?: () => void;
}

/** Estimated row height in px. */
const ROW = 55;
/** Number of rows rendered outside the view. */
const OVERSCAN = 8;

export function PipelineTable({ pipelines, historyOf, chosen, onChoose, onEnd }: Props) {
  const body = useRef<HTMLTableSectionElement>(null);
  const [scroller, setScroller] = useState<HTMLElement | null>(null);
  const [margin, setMargin] = useState(0);
  const rows = useVirtualizer({
    count: pipelines.length,
    getScrollElement: () => scroller,
    getItemKey: (index) => pipelines[index]?.pipeline.id ?? index,
    estimateSize: () => ROW,
    overscan: OVERSCAN,
    scrollMargin: margin,
    initialRect: { width: 0, height: window.innerHeight },
  });
  useLayoutEffect(() => {
    const found = body.current?.closest<HTMLElement>(".app-main") ?? null;
    if (body.current === null || found === null) return;
    const top = body.current.getBoundingClientRect().top - found.getBoundingClientRect().top;
    setScroller(found);
    setMargin(top + found.scrollTop);
  }, [chosen.size]); // the action bar and the filters differ in height
  const shown = rows.getVirtualItems();
  const first = shown[0];
  const last = shown.at(-1);
  const above = first === undefined ? 0 : first.start - margin;
  const below = last === undefined ? 0 : rows.getTotalSize() - (last.end - margin);
  const atEnd = last !== undefined && last.index >= pipelines.length - 1;
  useEffect(() => {
    if (atEnd) onEnd?.();
  }, [atEnd, onEnd]);
  const all = pipelines.length > 0 && pipelines.every((one) => chosen.has(one.pipeline.id));
  const toggleAll = () =>
    onChoose(all ? new Set() : new Set(pipelines.map((one) => one.pipeline.id)));
  return (
    <table className="ptable" aria-rowcount={onEnd === undefined ? pipelines.length + 1 : -1}>
      <thead>
        <tr>
          <th className="ptable-check">
            <input type="checkbox" aria-label="Select all" checked={all} onChange={toggleAll} />
          </th>
          <th>State</th>
          <th>Pipeline</th>
          <th className="ptable-counts">Commands</th>
          <th className="ptable-runs">Recent runs</th>
          <th className="ptable-extra">Where</th>
          <th className="ptable-extra">Launched</th>
          <th className="ptable-time">Time</th>
        </tr>
      </thead>
      <tbody ref={body}>
        <Gap height={above} />
        {shown.map(({ index, key }) => {
          const one = pipelines[index];
          return one === undefined ? null : (
            <PipelineRow
              key={key}
              index={index}
              measure={rows.measureElement}
              summary={one}
              history={historyOf(one.pipeline)}
              chosen={chosen.has(one.pipeline.id)}
              onToggle={() => onChoose(toggled(chosen, one.pipeline.id))}
            />
          );
        })}
        <Gap height={below} />
        {onEnd === undefined ? null : (
          <tr>
            <td colSpan={COLUMNS} className="muted">
              Loading older pipelines…
            </td>
          </tr>
        )}
      </tbody>
    </table>
  );
}

const COLUMNS = 8;

/** Stands for the rows outside the view. */
function Gap({ height }: { height: number }) {
  return height <= 0 ? null : <tr aria-hidden className="ptable-gap" style={{ height }} />;
}

interface RowProps {
  index: number;
  measure: Ref<HTMLTableRowElement>;
  summary: PipelineSummary;
  history: RunHistory | undefined;
  chosen: boolean;
  onToggle: () => void;
}

function PipelineRow({ index, measure, summary, history, chosen, onToggle }: RowProps) {
  const { pipeline, counts, state } = summary;
  const now = useNow(true);
  const took = activeTime(summary, now);
  return (
    <tr
      ref={measure}
      data-index={index}
      aria-rowindex={index + 2}
      className={chosen ? "chosen" : ""}
    >
      <td className="ptable-check">
        <input
          type="checkbox"
          aria-label={`Select ${pipeline.title} ${pipeline.id}`}
          checked={chosen}
          onChange={onToggle}
        />
      </td>
      <td>
        <StateLabel state={state} />
        <div className="muted ptable-small">{statusText(summary)}</div>
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
      <td className="ptable-runs">
        {history === undefined || history.runs.length < 2 ? (
          <span className="muted" title="No earlier runs">
            –
          </span>
        ) : (
          <RunStrip history={history} id={pipeline.id} now={isAnyActive(history) ? now : 0} />
        )}
      </td>
      <td className="ptable-extra ptable-where muted">
        {pipeline.mode === "local" ? `here, ${pipeline.engine}` : "cloud"}
      </td>
      <td className="ptable-extra muted" title={formatDateTitle(pipeline.created, now)}>
        {formatDate(pipeline.created, now)}
      </td>
      <td className="ptable-time number" title={wallText(summary, now) ?? undefined}>
        {took === null ? "–" : duration(took)}
      </td>
    </tr>
  );
}

function statusText(summary: PipelineSummary): string {
  const { pipeline, settled, state } = summary;
  if (pipeline.lifecycle !== "active") return pipeline.lifecycle;
  if (pipeline.problem !== null) return "Paused because of a problem";
  if (!pipeline.armed) return pauseText(summary);
  return settled || state === "running" ? "" : "Active";
}
