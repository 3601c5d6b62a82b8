import { useQuery } from "@tanstack/react-query";
import { useEffect, type ReactNode } from "react";

import { api, ApiError, messageOf } from "@/api/client";
import type { PipelineSummary } from "@/api/schema";
import { CountsBar, CountsText } from "@/components/Counts";
import { EmptyState, LoadError } from "@/components/EmptyState";
import { Loading } from "@/components/Loading";
import { PageStatus } from "@/components/PageStatus";
import { PipelineNav, type PipelinePageName } from "@/components/PipelineNav";
import { StateLabel } from "@/components/StateIcon";
import { useNow } from "@/components/useNow";
import { followLink, pipelineUrl } from "@/lib/location";
import { duration, elapsed } from "@/lib/time";
import { loadErrorMessage } from "@/live/session";
import { NO_COUNTS } from "@/model/states";

const REFRESH_MS = 2000;

interface Props {
  id: string;
  page: PipelinePageName;
  /** Page name in the browser tab. */
  title: string;
  children: (summary: PipelineSummary) => ReactNode;
}

/** The frame of a pipeline's page: its header and links to its other pages. */
export function PipelineFrame({ id, page, title, children }: Props) {
  const summary = useQuery({
    queryKey: ["pipeline", id],
    queryFn: ({ signal }) => api.pipeline(id, signal),
    refetchInterval: REFRESH_MS,
  });
  const name = summary.data?.pipeline.title ?? id;
  useEffect(() => {
    document.title = `${title} of ${name} · Conducto`;
  }, [title, name]);
  const { data, error } = summary;
  return (
    <PageStatus error={error} known={data !== undefined}>
      {data === undefined ? (
        <PipelineLoading id={id} page={page} error={error} onRetry={() => void summary.refetch()} />
      ) : (
        <>
          <Head summary={data} page={page} />
          {children(data)}
        </>
      )}
    </PageStatus>
  );
}

/** Same layout as the header of the tree page, so that nothing moves between pages. */
function Head({ summary, page }: { summary: PipelineSummary; page: PipelinePageName }) {
  const { pipeline, counts, state, settled, started, ended } = summary;
  const now = useNow(!settled);
  const took = elapsed(started, settled ? ended : null, now);
  return (
    <header className="phead">
      <div className="phead-line">
        <h1 className="clip" title={pipeline.title}>
          <a href={pipelineUrl(pipeline.id)} onClick={followLink}>
            {pipeline.title}
          </a>
        </h1>
        <code className="muted">{pipeline.id}</code>
        {pipeline.tags.map((tag) => (
          <span key={tag} className="tag">
            {tag}
          </span>
        ))}
      </div>
      <div className="phead-line phead-facts">
        <StateLabel state={state} />
        {took === null ? null : <span className="number">{duration(took)}</span>}
        <CountsText counts={counts} />
      </div>
      <PipelineNav id={pipeline.id} current={page} />
      <CountsBar counts={counts} />
    </header>
  );
}

interface NotHereProps {
  id: string;
  page: PipelinePageName;
  error: Error | null;
  onRetry: () => void;
}

/** Shown while the pipeline loads, or if loading failed. */
export function PipelineLoading({ id, page, error, onRetry }: NotHereProps) {
  if (error instanceof ApiError && error.status === 404) {
    return (
      <EmptyState title={loadErrorMessage(error, id)}>
        <a href="/" onClick={followLink}>
          All pipelines
        </a>
      </EmptyState>
    );
  }
  return (
    <>
      <header className="phead">
        <div className="phead-line">
          <h1 className="clip">
            <a href={pipelineUrl(id)} onClick={followLink}>
              {id}
            </a>
          </h1>
        </div>
        <div className="phead-line phead-facts" />
        <PipelineNav id={id} current={page} />
        <CountsBar counts={NO_COUNTS} />
      </header>
      {error === null ? <Loading /> : <LoadError message={messageOf(error)} onRetry={onRetry} />}
    </>
  );
}
