import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { api } from "@/api/client";
import type { NewSchedule, PipelineRecord } from "@/api/schema";
import { schedulesApi } from "@/schedules/api/schedules";
import { FormError } from "@/components/ConfirmDialog";
import { FormDialog } from "@/components/FormDialog";
import { toast } from "@/components/toasts";
import { navigate } from "@/lib/location";
import { moment } from "@/lib/time";
import { visible } from "@/lib/visible";
import { programKey } from "@/programs/model/programIdentity";
import { scheduleUrl } from "@/schedules/ScheduleTexts";
import { useCronText } from "@/schedules/useCronText";

const OVERLAP_LABELS = {
  skip: "Skip the firing",
  queue: "Wait for its end",
  replace: "Cancel it",
  allow: "Launch anyway",
};

const DAILY = "0 2 * * *";
const OVERLAPS = Object.keys(OVERLAP_LABELS) as NewSchedule["overlap"][];

/** Number of pipelines of which one can be chosen. */
const MAX_CHOICES = 100;

interface Props {
  /** The pipeline that is launched; null: it is chosen in the form. */
  pipeline: string | null;
  /** The names that are taken. */
  known: readonly string[];
  onClose: () => void;
}

/** The form of a schedule for a pipeline; its defaults can be created at once. */
export function CreateDialog({ pipeline: given, known, onClose }: Props) {
  const [selected, setSelected] = useState<string | null>(null);
  const programs = useNewestOfPrograms(given === null);
  const pipeline = given ?? selected ?? programs[0]?.id ?? "";
  const [name, setName] = useState<string | null>(null);
  const [cron, setCron] = useState(DAILY);
  const [zone, setZone] = useState(() => Intl.DateTimeFormat().resolvedOptions().timeZone);
  const [overlap, setOverlap] = useState<NewSchedule["overlap"]>("skip");
  const chosen = name ?? freeName(pipeline, known);
  const create = useMutation({
    mutationFn: () =>
      schedulesApi.create({
        name: chosen.trim(),
        cron,
        zone,
        overlap,
        what: { kind: "template", pipeline },
      }),
    onSuccess: ({ schedule }) => {
      toast(`Created the schedule ${schedule.name}`);
      navigate(scheduleUrl(schedule.name), { replace: true });
    },
  });
  return (
    <FormDialog
      title={given === null ? "Add a schedule" : "Schedule this pipeline"}
      action="Create"
      disabled={create.isPending || pipeline === ""}
      error={create.error}
      onSubmit={() => create.mutate()}
      onClose={onClose}
    >
      {given === null ? (
        <label>
          Pipeline that is launched again
          <select
            className="field"
            value={pipeline}
            onChange={(event) => setSelected(event.target.value)}
          >
            {programs.length === 0 ? <option value="">No pipeline was launched yet</option> : null}
            {programs.map(({ id, title }) => (
              <option key={id} value={id}>
                {`${visible(title)} (${id})`}
              </option>
            ))}
          </select>
        </label>
      ) : null}
      <Field label="Name" value={chosen} onChange={setName} />
      <Field label="Cron expression" value={cron} onChange={setCron} />
      <Field label="Time zone" value={zone} onChange={setZone} />
      <NextTimes cron={cron} zone={zone} />
      <label>
        While its last pipeline runs
        <select
          className="field"
          value={overlap}
          onChange={(event) => setOverlap(event.target.value as NewSchedule["overlap"])}
        >
          {OVERLAPS.map((one) => (
            <option key={one} value={one}>
              {OVERLAP_LABELS[one]}
            </option>
          ))}
        </select>
      </label>
    </FormDialog>
  );
}

/** The newest pipeline of each program, the newest first. */
function useNewestOfPrograms(enabled: boolean): readonly PipelineRecord[] {
  const list = useQuery({
    queryKey: ["schedulable"],
    queryFn: ({ signal }) => api.pipelines({ limit: MAX_CHOICES }, signal),
    enabled,
  });
  const newest = new Map<string, PipelineRecord>();
  for (const { pipeline } of list.data?.pipelines ?? []) {
    const key = programKey(pipeline);
    if (!newest.has(key)) newest.set(key, pipeline);
  }
  return [...newest.values()];
}

function Field(props: { label: string; value: string; onChange: (value: string) => void }) {
  return (
    <label>
      {props.label}
      <input
        className="field"
        value={props.value}
        required
        onChange={(event) => props.onChange(event.target.value)}
      />
    </label>
  );
}

/** The expression as a sentence with its next times, or the reason why it is not valid. */
function NextTimes({ cron, zone }: { cron: string; zone: string }) {
  const text = useCronText(cron);
  const found = useQuery({
    queryKey: ["schedule-times", cron, zone],
    queryFn: ({ signal }) => schedulesApi.times(cron, zone, signal),
    enabled: cron.trim() !== "" && zone.trim() !== "",
  });
  if (found.error !== null) return <FormError error={found.error} />;
  return (
    <p className="muted">
      {text === cron ? "Minute, hour, day of the month, month, day of the week" : text}
      {found.data === undefined ? null : (
        <>
          <br />
          Next: {found.data.times.map((time) => moment(time)).join(", ")}
        </>
      )}
    </p>
  );
}

function freeName(pipeline: string, known: readonly string[]): string {
  let name = `daily-${pipeline}`;
  for (let number = 2; known.includes(name); number += 1) name = `daily-${pipeline}-${number}`;
  return name;
}
