import { useMutation } from "@tanstack/react-query";
import { useState } from "react";

import { rulesApi } from "@/notifications/api/notificationRules";
import type { NotificationRule } from "@/api/schema";
import { Choice, Field } from "@/components/Field";
import { FormDialog } from "@/components/FormDialog";
import styles from "@/notifications/RuleDialog.module.css";
import { RULES } from "@/notifications/texts/notificationRules";

type Channel = NotificationRule["channel"];
type Event = NotificationRule["on"][number];

const EVENTS = Object.keys(RULES.events) as Event[];
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
  const [tried, setTried] = useState(false);
  const put = useMutation({
    mutationFn: () =>
      rulesApi.put(name.trim(), {
        channel,
        to: channel === "github" ? "" : to.trim(),
        on: EVENTS.filter((event) => on.includes(event)),
        title: optional(title),
        schedule: optional(schedule),
        secret: channel === "webhook" ? optional(secret) : null,
      }),
    onSuccess: () => onDone(name.trim()),
  });
  return (
    <FormDialog
      title={RULES.add}
      action={RULES.store}
      disabled={put.isPending}
      error={put.error}
      onSubmit={() => {
        setTried(true);
        if (on.length > 0) put.mutate();
      }}
      onClose={onClose}
    >
      <Field
        label={RULES.name}
        value={name}
        onChange={setName}
        {...(known.includes(name.trim()) ? { hint: RULES.replaces } : {})}
      />
      <Choice
        label={RULES.channel}
        value={channel}
        options={RULES.channels}
        onChange={setChannel}
      />
      {channel === "github" ? (
        <p className="muted">{RULES.hints.github}</p>
      ) : (
        <Field
          key={channel}
          label={RULES.toLabels[channel]}
          hint={RULES.hints[channel]}
          placeholder={RULES.examples[channel]}
          type={channel === "mail" ? "email" : channel === "webhook" ? "url" : "text"}
          value={to}
          onChange={setTo}
        />
      )}
      {channel === "webhook" ? (
        <Field
          label={RULES.secret}
          hint={RULES.secretHint}
          placeholder={RULES.secretExample}
          optional
          value={secret}
          onChange={setSecret}
        />
      ) : null}
      <Events chosen={on} onChange={setOn} />
      {tried && on.length === 0 ? (
        <p className="form-error" role="alert">
          {RULES.noEvent}
        </p>
      ) : null}
      <Field
        label={RULES.titleFilter}
        hint={RULES.titleHint}
        optional
        value={title}
        onChange={setTitle}
      />
      <Field label={RULES.schedule} optional value={schedule} onChange={setSchedule} />
    </FormDialog>
  );
}

function Events(props: { chosen: readonly Event[]; onChange: (chosen: Event[]) => void }) {
  const { chosen, onChange } = props;
  return (
    <fieldset className={styles.events}>
      <legend>{RULES.on}</legend>
      {EVENTS.map((event) => (
        <label key={event}>
          <input
            type="checkbox"
            checked={chosen.includes(event)}
            onChange={({ target }) =>
              onChange(target.checked ? [...chosen, event] : chosen.filter((one) => one !== event))
            }
          />
          {RULES.events[event]}
        </label>
      ))}
    </fieldset>
  );
}

function optional(text: string): string | null {
  return text.trim() === "" ? null : text.trim();
}
