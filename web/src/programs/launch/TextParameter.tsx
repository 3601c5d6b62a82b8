import { useId } from "react";

import { Icon } from "@/components/Icon";
import styles from "@/programs/launch/Fields.module.css";

interface Props {
  name: string;
  label: string;
  help: string;
  hint?: string;
  value: string;
  problem: string | undefined;
  required?: boolean;
  /** Over the whole width. */
  wide?: boolean;
  onChange: (value: string) => void;
  onBlur?: () => void;
}

/** A field with its help, or with the reason why its value was rejected. */
export function TextParameter({ name, label, help, hint, value, problem, ...props }: Props) {
  const { required = false, wide = false, onChange, onBlur } = props;
  const id = useId();
  const isInvalid = problem !== undefined;
  return (
    <div className={styles.parameter} data-kind={wide ? "list" : "text"} data-parameter={name}>
      <div className={styles.label}>
        <label htmlFor={id}>{label}</label>
        <span className={styles.type}>{required ? "required" : "optional"}</span>
      </div>
      <input
        id={id}
        className="field"
        value={value}
        placeholder={hint}
        spellCheck={false}
        autoComplete="off"
        autoCapitalize="off"
        aria-describedby={`${id}-note`}
        aria-invalid={isInvalid}
        aria-required={required}
        onChange={(event) => onChange(event.target.value)}
        {...(onBlur === undefined ? {} : { onBlur })}
      />
      <FieldNote id={`${id}-note`} problem={problem} help={help} />
    </div>
  );
}

interface NoteProps {
  id: string;
  problem: string | undefined;
  help: string;
}

/** The help of a field, or the reason why its value was rejected. */
export function FieldNote({ id, problem, help }: NoteProps) {
  return problem === undefined ? (
    <p id={id} className={styles.help}>
      {help}
    </p>
  ) : (
    <p id={id} className={styles.problem} role="alert">
      <Icon name="flag" /> {problem}
    </p>
  );
}
