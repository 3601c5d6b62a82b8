import type { EventRule, Schedule } from "@/api/schema";
import { followLink, pipelineUrl } from "@/lib/location";
import { useCronText } from "@/schedules/useCronText";

const ENDS = { done: "is done", failed: "failed", any: "ended" };

/** The times of a schedule as a sentence, the pipelines that it follows, or its events. */
export function When({ schedule: { after, cron, on, zone } }: { schedule: Schedule }) {
  if (on !== null) return <>{eventsText(on)}</>;
  if (after !== null) {
    return <>{`After “${after.title ?? after.program ?? ""}” ${ENDS[after.state]}`}</>;
  }
  return <CronText cron={cron ?? ""} zone={zone} />;
}

function eventsText(rule: EventRule): string {
  const { source, bucket, prefix, suffix, queue, batch, directory, debounce } = rule;
  const events = {
    webhook: "For each webhook",
    eventbridge: "For events of EventBridge",
    s3: `For new objects in ${bucket ?? ""}/${prefix}*${suffix}`,
    sqs: `For each ${batch} messages of the queue ${queue?.split(":").pop() ?? ""}`,
    watch: `For new files in ${directory ?? ""}`,
  }[source];
  return debounce > 0 ? `${events}, when none has arrived for ${debounce} s` : events;
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
