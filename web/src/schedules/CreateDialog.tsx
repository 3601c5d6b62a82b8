import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";

import type { NewSchedule } from "@/api/schema";
import { schedulesApi } from "@/schedules/api/schedules";
import { FormError } from "@/components/ConfirmDialog";
import { FormDialog } from "@/components/FormDialog";
import { toast } from "@/components/toasts";
import { navigate } from "@/lib/location";
import { moment } from "@/lib/time";
import { scheduleUrl } from "@/schedules/ScheduleTexts";
import { useCronText } from "@/schedules/useCronText";
import { SCHEDULES } from "@/schedules/texts/schedules";

const DAILY = "0 2 * * *";
const OVERLAPS = Object.keys(SCHEDULES.overlaps) as NewSchedule["overlap"][];

interface Props {
  pipeline: string;
  /** The names that are taken. */
  known: readonly string[];
  onClose: () => void;
}

/** The form of a schedule for a pipeline; its defaults can be created at once. */
export function CreateDialog({ pipeline, known, onClose }: Props) {
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
      toast(SCHEDULES.created(schedule.name));
      navigate(scheduleUrl(schedule.name), { replace: true });
    },
  });
  return (
    <FormDialog
      title={SCHEDULES.createTitle}
      action={SCHEDULES.create}
      disabled={create.isPending}
      error={create.error}
      onSubmit={() => create.mutate()}
      onClose={onClose}
    >
      <Field label={SCHEDULES.name} value={chosen} onChange={setName} />
      <Field label={SCHEDULES.cron} value={cron} onChange={setCron} />
      <Field label={SCHEDULES.zone} value={zone} onChange={setZone} />
      <NextTimes cron={cron} zone={zone} />
      <label>
        {SCHEDULES.overlap}
        <select
          className="field"
          value={overlap}
          onChange={(event) => setOverlap(event.target.value as NewSchedule["overlap"])}
        >
          {OVERLAPS.map((one) => (
            <option key={one} value={one}>
              {SCHEDULES.overlaps[one]}
            </option>
          ))}
        </select>
      </label>
    </FormDialog>
  );
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
      {text === cron ? SCHEDULES.cronHelp : text}
      {found.data === undefined ? null : (
        <>
          <br />
          {SCHEDULES.next}: {found.data.times.map((time) => moment(time)).join(", ")}
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
