import { useId } from "react";

import fieldStyles from "@/programs/launch/Fields.module.css";
import { ListField } from "@/programs/launch/ListField";

export interface RunOptions {
  run: boolean;
  title: string;
  /** Values for `*args`, as the word of a list. */
  rest: string;
}

interface Props {
  options: RunOptions;
  hasRest: boolean;
  onChange: (options: RunOptions) => void;
}

/** The options of the launch itself. */
export function RunFields({ options, hasRest, onChange }: Props) {
  const id = useId();
  return (
    <section aria-labelledby={`${id}-heading`}>
      <h2 id={`${id}-heading`}>Run</h2>
      <div className={fieldStyles.fields}>
        {hasRest ? (
          <div className={fieldStyles.parameter} data-kind="list">
            <div className={fieldStyles.label}>
              <label htmlFor={`${id}-rest`}>More values</label>
            </div>
            <ListField
              id={`${id}-rest`}
              word={options.rest}
              describedBy={`${id}-heading`}
              invalid={false}
              onChange={(rest) => onChange({ ...options, rest })}
            />
          </div>
        ) : null}
        <div className={fieldStyles.parameter}>
          <div className={fieldStyles.label}>
            <label htmlFor={`${id}-title`}>Title</label>
            <span className={fieldStyles.type}>optional</span>
          </div>
          <input
            id={`${id}-title`}
            className="field"
            value={options.title}
            placeholder="The script's own"
            onChange={(event) => onChange({ ...options, title: event.target.value })}
          />
        </div>
        <div className={fieldStyles.parameter}>
          <div className={fieldStyles.label}>
            <label htmlFor={`${id}-run`}>Start at once</label>
          </div>
          <label className={fieldStyles.switch}>
            <input
              id={`${id}-run`}
              type="checkbox"
              role="switch"
              checked={options.run}
              onChange={(event) => onChange({ ...options, run: event.target.checked })}
            />
            <span aria-hidden>{options.run ? "On" : "Off"}</span>
          </label>
        </div>
      </div>
    </section>
  );
}
