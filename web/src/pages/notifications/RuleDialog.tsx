import { useMutation } from "@tanstack/react-query";
import { useId, useState } from "react";

import { rulesApi } from "@/api/notificationRules";
import type { NotificationRule } from "@/api/schema";
import { Button } from "@/components/Button";
import { FormError } from "@/components/ConfirmDialog";
import { Dialog } from "@/components/Dialog";
import { Choice, Field } from "@/components/Field";
import styles from "@/pages/notifications/RuleDialog.module.css";
import { RULES } from "@/strings/notificationRules";

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
  const form = useId();
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
    <Dialog
      title={RULES.add}
      onClose={onClose}
      footer={
        <>
          <Button onClick={onClose}>{RULES.cancel}</Button>
          <Button variant="main" type="submit" form={form} disabled={put.isPending}>
            {RULES.store}
          </Button>
        </>
      }
    >
      <form
        id={form}
        className="form"
        onSubmit={(event) => {
          event.preventDefault();
          setTried(true);
          if (on.length > 0) put.mutate();
        }}
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
        <FormError error={put.error} />
      </form>
    </Dialog>
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
