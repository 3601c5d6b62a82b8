import { useId, type HTMLInputTypeAttribute } from "react";

import styles from "@/components/Field.module.css";

interface Props {
  label: string;
  value: string;
  onChange: (value: string) => void;
  /** A sentence below the field. */
  hint?: string;
  /** Why the value is not accepted. */
  error?: string | null;
  type?: HTMLInputTypeAttribute;
  placeholder?: string;
  optional?: boolean;
}

/** A field for text with its label and a hint. */
export function Field({ label, value, onChange, hint, error, optional = false, ...input }: Props) {
  const id = useId();
  const hintId = useId();
  const errorId = useId();
  const described = [
    ...(hint === undefined ? [] : [hintId]),
    ...(error == null ? [] : [errorId]),
  ].join(" ");
  return (
    <div className={styles.field}>
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        className="field"
        {...input}
        value={value}
        required={!optional}
        {...(described === "" ? {} : { "aria-describedby": described })}
        {...(error == null ? {} : { "aria-invalid": true })}
        onChange={(event) => onChange(event.target.value)}
      />
      {hint === undefined ? null : (
        <span id={hintId} className="muted">
          {hint}
        </span>
      )}
      {error == null ? null : (
        <span id={errorId} className="form-error" role="alert">
          {error}
        </span>
      )}
    </div>
  );
}

interface ChoiceProps<T extends string> {
  label: string;
  value: T;
  /** Texts by value, in their order. */
  options: Record<T, string>;
  onChange: (value: T) => void;
}

/** A choice of one of a few values. */
export function Choice<T extends string>({ label, value, options, onChange }: ChoiceProps<T>) {
  const id = useId();
  return (
    <div className={styles.field}>
      <label htmlFor={id}>{label}</label>
      <select
        id={id}
        className="field"
        value={value}
        onChange={(event) => onChange(event.target.value as T)}
      >
        {(Object.keys(options) as T[]).map((one) => (
          <option key={one} value={one}>
            {options[one]}
          </option>
        ))}
      </select>
    </div>
  );
}
