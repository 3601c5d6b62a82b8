import { useId } from "react";

import type { State } from "@/api/schema";
import { Button } from "@/components/Button";
import { Icon } from "@/components/Icon";
import { StateIcon } from "@/components/StateIcon";
import { setQuery } from "@/lib/location";
import { stateLabel } from "@/run/model/states";
import { type Filter, LIFECYCLES, type Period, PERIODS } from "@/run/list/filter";
import { SavedFilters } from "@/run/list/SavedFilters";
import styles from "@/run/list/Toolbar.module.css";

const PERIOD_LABELS = { "1": "Last 24 hours", "7": "Last 7 days", "30": "Last 30 days" };

const LIFECYCLE_LABELS = {
  listed: "Not archived",
  active: "Active",
  sleeping: "Sleeping",
  archived: "Archived",
  all: "All, with archived",
};

const SEGMENTS: readonly State[] = ["error", "running", "pending", "done", "killed"];

interface Props {
  filter: Filter;
  period: Period | null;
  /** Owners that are suggested, in order. */
  owners: readonly string[];
  /** Loaded pipelines by state; null if unknown, because the list is filtered by state. */
  counts: ReadonlyMap<State, number> | null;
  /** Older pipelines are not loaded. */
  isPart: boolean;
  selectAll: { checked: boolean; disabled: boolean; onToggle: () => void };
}

export function Toolbar({ filter, period, owners, counts, isPart, selectAll }: Props) {
  return (
    <form className={styles.bar} role="search" onSubmit={(event) => event.preventDefault()}>
      <input
        type="checkbox"
        aria-label="Select all"
        title="Select all"
        checked={selectAll.checked}
        disabled={selectAll.disabled}
        onChange={selectAll.onToggle}
      />
      <States current={filter.state} counts={counts} isPart={isPart} />
      <Owner key={filter.owner} chosen={filter.owner ?? ""} known={owners} />
      <Choice
        label="Launched"
        value={period ?? ""}
        options={[["", "Any time"], ...PERIODS.map((days) => [days, PERIOD_LABELS[days]] as const)]}
        onChange={(days) => setQuery({ days })}
      />
      <Choice
        label="Lifecycle"
        value={filter.lifecycle ?? "listed"}
        options={LIFECYCLES.map((one) => [one, LIFECYCLE_LABELS[one]] as const)}
        onChange={(lifecycle) => setQuery({ lifecycle: lifecycle === "listed" ? null : lifecycle })}
      />
      {filter.tag === undefined ? null : (
        <Button
          aria-label={`Remove the filter for tag ${filter.tag}`}
          onClick={() => setQuery({ tag: null })}
        >
          <Icon name="tag" />
          {filter.tag}
          <Icon name="close" />
        </Button>
      )}
      <SavedFilters />
    </form>
  );
}

/** Filters by owner. Others than the suggested ones may have had pipelines, too. */
function Owner({ chosen, known }: { chosen: string; known: readonly string[] }) {
  const list = useId();
  const choose = (owner: string) => {
    if (owner !== chosen) setQuery({ owner: owner === "" ? null : owner });
  };
  return (
    <>
      <input
        className={`field ${styles.owner ?? ""}`}
        list={list}
        aria-label="Owner"
        placeholder="Anyone"
        defaultValue={chosen}
        // Choosing a suggestion changes the whole text at once.
        onInput={({ currentTarget: { value } }) => {
          if (value === "" || known.includes(value)) choose(value);
        }}
        onBlur={({ currentTarget }) => choose(currentTarget.value.trim())}
        onKeyDown={({ key, currentTarget }) => {
          if (key === "Enter") choose(currentTarget.value.trim());
        }}
      />
      <datalist id={list}>
        {known.map((owner) => (
          <option key={owner} value={owner} />
        ))}
      </datalist>
    </>
  );
}

interface StatesProps {
  current: State | undefined;
  counts: Props["counts"];
  isPart: boolean;
}

function States({ current, counts, isPart }: StatesProps) {
  const choose = (state: State | null) => setQuery({ state });
  return (
    <div className={styles.states} role="group" aria-label="State">
      <button type="button" aria-pressed={current === undefined} onClick={() => choose(null)}>
        All
      </button>
      {SEGMENTS.map((state) => (
        <button
          key={state}
          type="button"
          aria-pressed={current === state}
          onClick={() => choose(current === state ? null : state)}
        >
          <StateIcon state={state} />
          {stateLabel(state)}
          {counts?.get(state) === undefined ? null : (
            <span className="number">{`${counts.get(state)}${isPart ? "+" : ""}`}</span>
          )}
        </button>
      ))}
    </div>
  );
}

interface ChoiceProps {
  label: string;
  value: string;
  options: readonly (readonly [string, string])[];
  onChange: (value: string) => void;
}

function Choice({ label, value, options, onChange }: ChoiceProps) {
  return (
    <select
      className="field"
      aria-label={label}
      value={value}
      onChange={(event) => onChange(event.target.value)}
    >
      {options.map(([key, text]) => (
        <option key={key} value={key}>
          {text}
        </option>
      ))}
    </select>
  );
}
