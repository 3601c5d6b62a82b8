import { useId } from "react";

import type { ProgramCall, ProgramParameter } from "@/api/schema";
import {
  choicesOf,
  fieldKind,
  isOn,
  isOptional,
  NONE,
  shownParameters,
  type Words,
} from "@/programs/model/parameters";
import styles from "@/programs/launch/Fields.module.css";
import { ListField } from "@/programs/launch/ListField";
import { FieldNote } from "@/programs/launch/TextParameter";

interface Props {
  call: ProgramCall;
  words: Words;
  changed: ReadonlySet<string>;
  problems: Readonly<Record<string, string>>;
  onChange: (name: string, word: string) => void;
}

/** A field for each parameter of a program. */
export function Fields({ call, words, changed, problems, onChange }: Props) {
  return (
    <div className={styles.fields}>
      {shownParameters(call).map((parameter) => (
        <Field
          key={parameter.name}
          parameter={parameter}
          word={words[parameter.name]}
          isChanged={changed.has(parameter.name)}
          problem={problems[parameter.name]}
          onChange={(word) => onChange(parameter.name, word)}
        />
      ))}
    </div>
  );
}

interface FieldProps {
  parameter: ProgramParameter;
  /** Undefined: no value yet. */
  word: string | undefined;
  isChanged: boolean;
  problem: string | undefined;
  onChange: (word: string) => void;
}

function Field({ parameter, word, isChanged, problem, onChange }: FieldProps) {
  const id = useId();
  const kind = fieldKind(parameter);
  const isInvalid = problem !== undefined;
  return (
    <div className={styles.parameter} data-kind={kind} data-parameter={parameter.name}>
      <div className={styles.label}>
        <label htmlFor={id} id={`${id}-label`}>
          {parameter.name}
        </label>
        <span className={styles.type}>
          {parameter.label}
          {parameter.required ? `, required` : ""}
        </span>
        {isChanged ? <span className={styles.changed}>changed</span> : null}
      </div>
      <Control {...{ id, parameter, word, isInvalid, onChange }} />
      <FieldNote id={`${id}-note`} problem={problem} help={helpOf(parameter)} />
    </div>
  );
}

function helpOf({ help, default: preset, required }: ProgramParameter): string {
  if (required || preset === null) return help;
  return [help, `Default: ${preset === "" ? "empty" : preset}.`].join(" ").trim();
}

interface ControlProps extends Omit<FieldProps, "isChanged" | "problem"> {
  id: string;
  isInvalid: boolean;
}

function Control({ id, parameter, word, isInvalid, onChange }: ControlProps) {
  const common = { id, "aria-describedby": `${id}-note`, "aria-invalid": isInvalid };
  switch (fieldKind(parameter)) {
    case "switch":
      return (
        <label className={styles.switch}>
          <input
            {...common}
            type="checkbox"
            role="switch"
            checked={isOn(word ?? "")}
            onChange={(event) => onChange(event.target.checked ? "true" : "false")}
          />
          <span aria-hidden>{isOn(word ?? "") ? "On" : "Off"}</span>
        </label>
      );
    case "choice":
      return (
        <select
          {...common}
          className="field"
          value={word ?? ""}
          onChange={(event) => onChange(event.target.value)}
        >
          {word === undefined ? <option value="">Choose a value</option> : null}
          {choicesOf(parameter).map((choice) => (
            <option key={choice}>{choice}</option>
          ))}
        </select>
      );
    case "list":
      return (
        <ListField
          id={id}
          word={word ?? ""}
          describedBy={`${id}-note`}
          invalid={isInvalid}
          onChange={onChange}
        />
      );
    default:
      return <TextField {...{ id, parameter, word, isInvalid, onChange }} />;
  }
}

/** A text, a number or a date; an empty field of an optional parameter is None. */
function TextField({ id, parameter, word, isInvalid, onChange }: ControlProps) {
  const kind = fieldKind(parameter);
  const optional = isOptional(parameter);
  const value = optional && word === NONE ? "" : (word ?? "");
  return (
    <input
      id={id}
      className="field"
      type={
        kind === "date" && (value === "" || /^\d{4}-\d{2}-\d{2}$/.test(value)) ? "date" : "text"
      }
      inputMode={kind === "number" ? "decimal" : undefined}
      value={value}
      placeholder={optional ? NONE : undefined}
      spellCheck={false}
      autoComplete="off"
      aria-describedby={`${id}-note`}
      aria-invalid={isInvalid}
      onChange={({ target }) => onChange(optional && target.value === "" ? NONE : target.value)}
    />
  );
}
