import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { api, ApiError } from "@/api/client";
import type { NewSchedule, PipelineRecord } from "@/api/schema";
import { schedulesApi } from "@/schedules/api/schedules";
import { Choice, Field } from "@/components/Field";
import { FormDialog } from "@/components/FormDialog";
import { toast } from "@/components/toasts";
import { navigate } from "@/lib/location";
import { moment } from "@/lib/time";
import { visible } from "@/lib/visible";
import { programKey } from "@/programs/model/programIdentity";
import { errorsOf, type FieldErrors, nameError } from "@/schedules/model/scheduleForm";
import { scheduleUrl } from "@/schedules/ScheduleTexts";
import { useCronText } from "@/schedules/useCronText";

const OVERLAP_LABELS = {
  skip: "Skip the firing",
  queue: "Wait for its end",
  replace: "Cancel it",
  allow: "Launch anyway",
} satisfies Record<NewSchedule["overlap"], string>;

const DAILY = "0 2 * * *";

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
  const times = useQuery({
    queryKey: ["schedule-times", cron, zone],
    queryFn: ({ signal }) => schedulesApi.times(cron, zone, signal),
    enabled: cron.trim() !== "" && zone.trim() !== "",
  });
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
  const { errors, other } = sorted([create.error, times.error]);
  return (
    <FormDialog
      title={given === null ? "Add a schedule" : "Schedule this pipeline"}
      action="Create"
      disabled={create.isPending || pipeline === "" || nameError(chosen.trim(), known) !== null}
      error={other}
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
          {errors.pipeline === undefined ? null : (
            <span className="form-error" role="alert">
              {errors.pipeline}
            </span>
          )}
        </label>
      ) : null}
      <Field
        label="Name"
        value={chosen}
        onChange={setName}
        error={nameError(chosen.trim(), known) ?? errors.name ?? null}
      />
      <Field label="Cron expression" value={cron} onChange={setCron} error={errors.cron ?? null} />
      <Field label="Time zone" value={zone} onChange={setZone} error={errors.zone ?? null} />
      <NextTimes cron={cron} times={times.data?.times} />
      <Choice
        label="While its last pipeline runs"
        value={overlap}
        options={OVERLAP_LABELS}
        onChange={setOverlap}
      />
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

/** The expression as a sentence, with its next times. */
function NextTimes({ cron, times }: { cron: string; times: readonly number[] | undefined }) {
  const text = useCronText(cron);
  return (
    <p className="muted">
      {text === cron ? "Minute, hour, day of the month, month, day of the week" : text}
      {times === undefined ? null : (
        <>
          <br />
          Next: {times.map((time) => moment(time)).join(", ")}
        </>
      )}
    </p>
  );
}

/** What the server said about the fields, and an error that is about none of them. */
function sorted(errors: readonly (Error | null)[]): { errors: FieldErrors; other: Error | null } {
  const found: FieldErrors = {};
  let other: Error | null = null;
  for (const error of errors) {
    const about = error instanceof ApiError ? errorsOf(error.problem) : {};
    Object.assign(found, about);
    if (error !== null && Object.keys(about).length === 0) other = error;
  }
  return { errors: found, other };
}

function freeName(pipeline: string, known: readonly string[]): string {
  let name = `daily-${pipeline}`;
  for (let number = 2; known.includes(name); number += 1) name = `daily-${pipeline}-${number}`;
  return name;
}
