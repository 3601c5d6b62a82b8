import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo, useRef, type ReactNode } from "react";

import { api, ApiError, messageOf } from "@/api/client";
import type { PipelineSummary } from "@/api/schema";
import { AgentBanner, useLinkedAgent } from "@/components/AgentBanner";
import { EmptyState, LoadError } from "@/components/EmptyState";
import { Loading } from "@/components/Loading";
import { PageStatus } from "@/components/PageStatus";
import { useTitle } from "@/components/useTitle";
import { followLink } from "@/lib/location";
import { loadErrorMessage } from "@/run/live/session";
import { ConfirmAction } from "@/run/actions/ConfirmAction";
import { useActions } from "@/run/actions/useActions";
import { PipelineHead } from "@/run/page/PipelineHead";
import { PipelineHeader } from "@/run/page/PipelineHeader";
import type { PipelineView } from "@/run/page/PipelineNav";

const REFRESH_MS = 2000;

interface Props {
  id: string;
  page: PipelineView;
  /** Page name in the browser tab. */
  title: string;
  children: (summary: PipelineSummary) => ReactNode;
}

/** The frame of a pipeline's page: its header with actions and links to its other pages. */
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
    <PageStatus error={error}>
      {data === undefined ? (
        <PipelineLoading id={id} view={page} error={error} onRetry={() => void summary.refetch()} />
      ) : (
        <>
          <AgentBanner id={id} />
          <Head summary={data} view={page} />
          {children(data)}
        </>
      )}
    </PageStatus>
  );
}

function Head({ summary, view }: { summary: PipelineSummary; view: PipelineView }) {
  const { id } = summary.pipeline;
  const client = useQueryClient();
  const newest = useRef(summary);
  useEffect(() => {
    newest.current = summary;
  });
  const target = useMemo(
    () => ({
      id,
      summary: () => newest.current,
      isSkipped: () => false,
      onDone: () => void client.invalidateQueries({ queryKey: ["pipeline", id] }),
    }),
    [id, client],
  );
  const actions = useActions(target);
  return (
    <>
      <PipelineHeader summary={summary} view={view} actions={actions} />
      <ConfirmAction actions={actions} />
    </>
  );
}

interface LoadingProps {
  id: string;
  view: PipelineView;
  error: Error | null;
  onRetry: () => void;
}

/** Shown while the pipeline loads, or if loading failed. */
export function PipelineLoading({ id, view, error, onRetry }: LoadingProps) {
  useLinkedAgent(id, onRetry);
  if (error instanceof ApiError && error.status === 404) {
    return (
      <EmptyState heading title={loadErrorMessage(error, id)}>
        <a href="/" onClick={followLink}>
          All pipelines
        </a>
      </EmptyState>
    );
  }
  return (
    <>
      <PipelineHead id={id} view={view} />
      {error === null ? <Loading /> : <LoadError message={messageOf(error)} onRetry={onRetry} />}
    </>
  );
}
