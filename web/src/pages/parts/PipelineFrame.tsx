import { useQuery } from "@tanstack/react-query";
import { useEffect, type ReactNode } from "react";

import { api, ApiError, messageOf } from "@/api/client";
import type { PipelineSummary } from "@/api/schema";
import { followLink, pipelineUrl } from "@/app/location";
import { failureMessage } from "@/live/session";
import { PageStand } from "@/pages/parts/PageStand";
import { PipelineNav, type PipelinePageName } from "@/pages/parts/PipelineNav";
import { CountsText } from "@/ui/Counts";
import { Empty, Failure } from "@/ui/Empty";
import { StateLabel } from "@/ui/StateMark";

const REFRESH_MS = 2000;

interface Props {
  id: string;
  page: PipelinePageName;
  /** The page's word in the title of the browser's tab. */
  title: string;
  children: (summary: PipelineSummary) => ReactNode;
}

/** What stands around a page of one pipeline: its name, how it stands, and its other pages. */
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
    <PageStand error={error}>
      {data === undefined ? (
        <NotHere id={id} error={error} onRetry={() => void summary.refetch()} />
      ) : (
        <>
          <Head summary={data} page={page} />
          {children(data)}
        </>
      )}
    </PageStand>
  );
}

function Head({ summary, page }: { summary: PipelineSummary; page: PipelinePageName }) {
  const { pipeline, counts, state } = summary;
  return (
    <header className="pframe">
      <div className="pframe-line">
        <h1 className="clip" title={pipeline.title}>
          <a href={pipelineUrl(pipeline.id)} onClick={followLink}>
            {pipeline.title}
          </a>
        </h1>
        <code className="muted">{pipeline.id}</code>
        <span className="pframe-state">
          <StateLabel mark={state} />
          <CountsText counts={counts} />
        </span>
      </div>
      <PipelineNav id={pipeline.id} current={page} />
    </header>
  );
}

function NotHere(props: { id: string; error: Error | null; onRetry: () => void }) {
  const { id, error, onRetry } = props;
  if (error === null) return <p className="muted page-note">Loading…</p>;
  if (error instanceof ApiError && error.status === 404) {
    return (
      <Empty title={failureMessage(error, id)}>
        <a href="/" onClick={followLink}>
          All pipelines
        </a>
      </Empty>
    );
  }
  return <Failure message={messageOf(error)} onRetry={onRetry} />;
}
