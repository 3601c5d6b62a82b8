import { Pending } from "@/components/InOrder";
import { lazily } from "@/components/lazily";
import type { PipelineSession } from "@/run/live/session";
import { ROOT } from "@/run/model/paths";
import { Files, useFiles } from "@/run/overview/Outputs";

// Few pipelines have metrics to compare, and failed ones do not show them.
const Times = lazily(async () => (await import("@/run/overview/Times")).Times, {
  placeholder: <Pending />,
});
const MetricComparison = lazily(
  async () => (await import("@/results/MetricComparison")).MetricComparison,
  { placeholder: <Pending /> },
);

interface Props {
  session: PipelineSession;
  path: string;
  succeeded: boolean;
}

/** Of an idle pipeline, the metrics and the files if it succeeded, and the times. */
export function Outcome({ session, path, succeeded }: Props) {
  const { summary } = session.model ?? {};
  const showsFiles = succeeded && path === ROOT;
  const files = useFiles(session.id, summary?.seq ?? 0, showsFiles);
  if (showsFiles && files.isPending) return <Pending />;
  const entries = files.data ?? [];
  return (
    <>
      {showsFiles && summary !== undefined ? (
        <MetricComparison
          program={summary.pipeline}
          id={session.id}
          current={{ id: session.id, created: summary.pipeline.created }}
          quiet
        />
      ) : null}
      <Times
        session={session}
        path={path}
        beside={entries.length === 0 ? undefined : <Files id={session.id} entries={entries} />}
      />
    </>
  );
}
