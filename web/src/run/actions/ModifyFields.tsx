import { useId } from "react";

import { Button } from "@/components/Button";
import type { EnvLine, ModifyForm, NumberField, TextField } from "@/run/actions/model/modify";
import modifyDialogStyles from "@/run/actions/ModifyDialog.module.css";

const FIELDS = {
  cpu: { label: "CPU", hint: "cores" },
  mem: { label: "Memory", hint: "GB" },
  gpu: { label: "GPU", hint: "0 to 16" },
  max_time: { label: "Time limit", hint: "e.g. 90s, 1h30m" },
  max_concurrent: { label: "Maximum running", hint: "no limit" },
  retry_lost: { label: "Retries if worker is lost", hint: "0" },
  budget: { label: "Budget", hint: "dollars, no limit" },
};

interface Props {
  form: ModifyForm;
  isExec: boolean;
  images: readonly string[];
  onChange: (form: ModifyForm) => void;
}

const MAX_ROWS = 12;

export function ModifyFields({ form, isExec, images, onChange }: Props) {
  const set = (name: TextField | NumberField, value: string) =>
    onChange({ ...form, values: { ...form.values, [name]: value } });
  const text = (name: keyof typeof FIELDS) => (
    <Field key={name} label={FIELDS[name].label}>
      {(id) => (
        <input
          id={id}
          className="field"
          value={form.values[name]}
          placeholder={FIELDS[name].hint}
          onChange={(event) => set(name, event.target.value)}
        />
      )}
    </Field>
  );
  const { command, image } = form.values;
  return (
    <div className={modifyDialogStyles.fields}>
      {isExec ? (
        <Field label="Command">
          {(id) => (
            <textarea
              id={id}
              data-first
              className="field"
              spellCheck={false}
              rows={Math.min(MAX_ROWS, Math.max(3, command.split("\n").length))}
              value={command}
              onChange={(event) => set("command", event.target.value)}
            />
          )}
        </Field>
      ) : null}
      <div className={modifyDialogStyles.row}>
        {text("cpu")}
        {text("mem")}
        {text("gpu")}
        {text("max_time")}
        {isExec ? null : text("max_concurrent")}
        {text("retry_lost")}
        {text("budget")}
        <Field label="Image">
          {(id) => (
            <select
              id={id}
              className="field"
              value={image}
              onChange={(event) => set("image", event.target.value)}
            >
              {[...new Set(["", image, ...images])].map((name) => (
                <option key={name} value={name}>
                  {name === "" ? "inherited or default" : name}
                </option>
              ))}
            </select>
          )}
        </Field>
      </div>
      <EnvFields env={form.env} onChange={(env) => onChange({ ...form, env })} />
    </div>
  );
}

function Field({ label, children }: { label: string; children: (id: string) => React.ReactNode }) {
  const id = useId();
  return (
    <div className={modifyDialogStyles.field}>
      <label htmlFor={id}>{label}</label>
      {children(id)}
    </div>
  );
}

function EnvFields({ env, onChange }: { env: EnvLine[]; onChange: (env: EnvLine[]) => void }) {
  const change = (index: number, line: Partial<EnvLine>) =>
    onChange(env.map((one, place) => (place === index ? { ...one, ...line } : one)));
  return (
    <fieldset className={modifyDialogStyles.env}>
      <legend>Environment</legend>
      {env.map((line, index) => (
        <div key={index} className={modifyDialogStyles.line}>
          <input
            className="field mono"
            aria-label={`Name of variable ${index + 1}`}
            value={line.name}
            onChange={(event) => change(index, { name: event.target.value })}
          />
          <input
            className="field mono"
            aria-label={`Value of ${line.name === "" ? `variable ${index + 1}` : line.name}`}
            value={line.value}
            onChange={(event) => change(index, { value: event.target.value })}
          />
          <Button
            variant="quiet"
            aria-label={`Remove ${line.name}`}
            onClick={() => onChange(env.filter((_, place) => place !== index))}
          >
            ×
          </Button>
        </div>
      ))}
      <Button variant="quiet" onClick={() => onChange([...env, { name: "", value: "" }])}>
        Add variable
      </Button>
    </fieldset>
  );
}
