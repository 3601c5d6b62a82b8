import { useMutation } from "@tanstack/react-query";
import { useState } from "react";

import { rulesApi } from "@/notifications/api/notificationRules";
import type { NotificationRule } from "@/api/schema";
import { Choice, Field } from "@/components/Field";
import { FormDialog } from "@/components/FormDialog";
import styles from "@/notifications/RuleDialog.module.css";

type Event = NotificationRule["on"][number];

export const EVENTS: Record<Event, string> = {
  start: "Start",
  success: "Success",
  failure: "Failure",
  failed_again: "Failed again",
  fixed: "Fixed",
  approval: "Waits for approval",
  late: "Late",
  long: "Longer than usual",
  expensive: "Expensive",
  waiting: "A command waits long",
};

type Channel = NotificationRule["channel"];

export const CHANNELS: Record<Channel, string> = {
  slack: "Slack",
  mail: "Mail",
  webhook: "Webhook",
  github: "Status of a commit",
};

const HINTS: Record<Channel, string> = {
  slack: "The bot's token is the secret SLACK_TOKEN. Invite the bot to the channel.",
  mail: "The mail server is a setting of the installation or the profile.",
  webhook: "Conducto posts JSON to it.",
  github: "The commit that a git trigger launched the pipeline for gets it.",
};

const TO: Record<Channel, string> = {
  slack: "Channel",
  mail: "Address",
  webhook: "URL",
  github: "",
};

const EXAMPLES: Record<Channel, string> = {
  slack: "#builds",
  mail: "ops@example.com",
  webhook: "https://example.com/hook",
  github: "",
};

const ALL_EVENTS = Object.keys(EVENTS) as Event[];
const USUAL: readonly Event[] = ["failure", "fixed"];

interface Props {
  /** The names of the rules that exist. */
  known: readonly string[];
  onDone: (name: string) => void;
  onClose: () => void;
}

/** The form of a rule; the channel decides which fields it has. */
export function RuleDialog({ known, onDone, onClose }: Props) {
  const [name, setName] = useState("");
  const [channel, setChannel] = useState<Channel>("slack");
  const [to, setTo] = useState("");
  const [on, setOn] = useState(USUAL);
  const [title, setTitle] = useState("");
  const [schedule, setSchedule] = useState("");
  const [secret, setSecret] = useState("");
  const [minutes, setMinutes] = useState("");
  const [dollars, setDollars] = useState("");
  const isTimed = on.includes("late") || on.includes("waiting");
  const [tried, setTried] = useState(false);
  const put = useMutation({
    mutationFn: () =>
      rulesApi.put(name.trim(), {
        channel,
        to: channel === "github" ? "" : to.trim(),
        on: ALL_EVENTS.filter((event) => on.includes(event)),
        title: optional(title),
        schedule: optional(schedule),
        secret: channel === "webhook" ? optional(secret) : null,
        minutes: isTimed ? amount(minutes) : null,
        dollars: on.includes("expensive") ? amount(dollars) : null,
      }),
    onSuccess: () => onDone(name.trim()),
  });
  return (
    <FormDialog
      title="Add rule"
      action="Store"
      disabled={put.isPending}
      error={put.error}
      onSubmit={() => {
        setTried(true);
        if (on.length > 0) put.mutate();
      }}
      onClose={onClose}
    >
      <Field
        label="Name"
        value={name}
        onChange={setName}
        {...(known.includes(name.trim()) ? { hint: "A rule of this name is replaced." } : {})}
      />
      <Choice label="Send by" value={channel} options={CHANNELS} onChange={setChannel} />
      {channel === "github" ? (
        <p className="muted">{HINTS.github}</p>
      ) : (
        <Field
          key={channel}
          label={TO[channel]}
          hint={HINTS[channel]}
          placeholder={EXAMPLES[channel]}
          type={channel === "mail" ? "email" : channel === "webhook" ? "url" : "text"}
          value={to}
          onChange={setTo}
        />
      )}
      {channel === "webhook" ? (
        <Field
          label="Name of the secret that signs it"
          hint="Without one, the webhook is not signed."
          placeholder="HOOK_SECRET"
          optional
          value={secret}
          onChange={setSecret}
        />
      ) : null}
      <Events chosen={on} onChange={setOn} />
      {tried && on.length === 0 ? (
        <p className="form-error" role="alert">
          Choose at least one event.
        </p>
      ) : null}
      {isTimed ? (
        <Field
          label="Minutes"
          hint="After its start a pipeline is late, and a command waits long."
          type="number"
          optional={!on.includes("late")}
          value={minutes}
          onChange={setMinutes}
        />
      ) : null}
      {on.includes("expensive") ? (
        <Field
          label="Dollars"
          hint="The cost from which a pipeline is reported."
          type="number"
          value={dollars}
          onChange={setDollars}
        />
      ) : null}
      <Field
        label="Only pipelines with the title"
        hint="* stands for any text."
        optional
        value={title}
        onChange={setTitle}
      />
      <Field
        label="Only pipelines of the schedule"
        optional
        value={schedule}
        onChange={setSchedule}
      />
    </FormDialog>
  );
}

function Events(props: { chosen: readonly Event[]; onChange: (chosen: Event[]) => void }) {
  const { chosen, onChange } = props;
  return (
    <fieldset className={styles.events}>
      <legend>When</legend>
      {ALL_EVENTS.map((event) => (
        <label key={event}>
          <input
            type="checkbox"
            checked={chosen.includes(event)}
            onChange={({ target }) =>
              onChange(target.checked ? [...chosen, event] : chosen.filter((one) => one !== event))
            }
          />
          {EVENTS[event]}
        </label>
      ))}
    </fieldset>
  );
}

function amount(text: string): number | null {
  return text.trim() === "" ? null : Number(text);
}

function optional(text: string): string | null {
  return text.trim() === "" ? null : text.trim();
}
