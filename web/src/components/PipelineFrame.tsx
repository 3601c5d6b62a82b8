import { useQuery } from "@tanstack/react-query";
import { type ReactNode } from "react";

import { api, ApiError, messageOf } from "@/api/client";
import type { PipelineSummary } from "@/api/schema";
import { CountsText } from "@/components/Counts";
import { EmptyState, LoadError } from "@/components/EmptyState";
import { Loading } from "@/components/Loading";
import { PageStatus } from "@/components/PageStatus";
import { PipelineHead } from "@/components/PipelineHead";
import type { PipelinePageName } from "@/components/PipelineNav";
import { StateLabel } from "@/components/StateIcon";
import { useNow } from "@/components/useNow";
import { useTitle } from "@/components/useTitle";
import { followLink } from "@/lib/location";
import { duration } from "@/lib/time";
import { activeTime } from "@/model/activity";
import { pipelineState } from "@/model/programs";
import { loadErrorMessage } from "@/live/session";

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
  useTitle(`${title} of ${name}`);
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

function Head({ summary, page }: { summary: PipelineSummary; page: PipelinePageName }) {
  const { pipeline, counts, settled } = summary;
  const now = useNow(!settled);
  const took = activeTime(summary, now);
  const facts = (
    <>
      <StateLabel state={pipelineState(summary)} />
      {took === null ? null : <span className="number">{duration(took)}</span>}
      <CountsText counts={counts} />
    </>
  );
  return <PipelineHead {...pipeline} page={page} counts={counts} facts={facts} />;
}

interface LoadingProps {
  id: string;
  page: PipelinePageName;
  error: Error | null;
  onRetry: () => void;
}

/** Shown while the pipeline loads, or if loading failed. */
export function PipelineLoading({ id, page, error, onRetry }: LoadingProps) {
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
      <PipelineHead id={id} page={page} />
      {error === null ? <Loading /> : <LoadError message={messageOf(error)} onRetry={onRetry} />}
    </>
  );
}
