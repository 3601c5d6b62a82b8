import type { Schedule } from "@/api/schema";
import { followLink, pipelineUrl } from "@/lib/location";
import { useCronText } from "@/schedules/useCronText";

const ENDS = { done: "is done", failed: "failed", any: "ended" };

/** The times of a schedule as a sentence, or the pipelines that it follows. */
export function When({ schedule: { after, cron, zone } }: { schedule: Schedule }) {
  if (after !== null) {
    return <>{`After “${after.title ?? after.program ?? ""}” ${ENDS[after.state]}`}</>;
  }
  return <CronText cron={cron ?? ""} zone={zone} />;
}

function CronText({ cron, zone }: { cron: string; zone: string }) {
  const text = useCronText(cron);
  return (
    <span title={cron}>
      {text} <span className="muted">{zone}</span>
    </span>
  );
}

/** What a schedule launches. */
export function Source({ schedule: { what } }: { schedule: Schedule }) {
  switch (what.kind) {
    case "template":
      return (
        <>
          A copy of <PipelineLink id={what.pipeline} />
        </>
      );
    case "git":
      return (
        <span className="mono">
          {what.command} ({what.url}#{what.ref})
        </span>
      );
    case "script":
      return <span className="mono">{what.command.join(" ")}</span>;
  }
}

export function PipelineLink({ id }: { id: string }) {
  return (
    <a className="mono" href={pipelineUrl(id)} onClick={followLink}>
      {id}
    </a>
  );
}

export function scheduleUrl(name: string): string {
  return `/schedules/${encodeURIComponent(name)}`;
}
