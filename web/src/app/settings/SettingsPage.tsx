import { useState, type ReactNode } from "react";

import { mayNotify } from "@/components/useNotifications";
import { Page } from "@/components/Page";
import { KeyList } from "@/components/HelpDialog";
import { type Settings, useSetting } from "@/lib/settings";
import { THEMES, useThemeChoice } from "@/lib/theme";
import { moment } from "@/lib/time";
import agentPageStyles from "@/remote/agent/AgentPage.module.css";
import styles from "@/app/settings/SettingsPage.module.css";

/** User settings, stored in this browser. */
export function SettingsPage() {
  return (
    <Page title="Settings">
      <p className="muted">Settings are stored in this browser.</p>
      <section className={`card ${styles.card}`}>
        <ThemeChoice />
        <Toggle name="utc" label="Show times in UTC">
          Otherwise in local time. <Example />
        </Toggle>
        <Toggle name="exact" label="Show absolute instead of relative times" />
        <NotifyToggle />
        <Toggle name="wrap" label="Wrap long lines of output">
          Otherwise they scroll sideways.
        </Toggle>
        <Toggle name="alwaysConfirm" label="Confirm every action">
          Otherwise only actions that affect several commands or kill running ones.
        </Toggle>
        <Toggle name="keys" label="Single-key shortcuts">
          Keys such as <kbd>r</kbd> for Rerun. Turn this off if you press them by accident.
        </Toggle>
      </section>
      <section>
        <h2 className={agentPageStyles.title}>Keyboard shortcuts of the pipeline page</h2>
        <div className={`card ${styles.keys}`}>
          <KeyList />
        </div>
      </section>
    </Page>
  );
}

const LABELS = { system: "system", light: "light", dark: "dark" } as const;

function ThemeChoice() {
  const [theme, setTheme] = useThemeChoice();
  return (
    <fieldset className={styles.theme}>
      <legend>Theme</legend>
      {THEMES.map((one) => (
        <label key={one}>
          <input type="radio" name="theme" checked={one === theme} onChange={() => setTheme(one)} />
          {LABELS[one]}
        </label>
      ))}
    </fieldset>
  );
}

interface ToggleProps {
  name: keyof Settings;
  label: string;
  children?: ReactNode;
}

function Toggle({ name, label, children }: ToggleProps) {
  const [on, set] = useSetting(name);
  return (
    <Choice label={label} on={on} onChange={set}>
      {children}
    </Choice>
  );
}

/** The current time in the selected time zone. */
function Example() {
  useSetting("utc");
  const [now] = useState(() => Date.now() / 1000);
  return <span className="number">{`Now: ${moment(now)}`}</span>;
}

/** The browser must allow notifications first. */
function NotifyToggle() {
  const [on, set] = useSetting("notify");
  const [refused, setRefused] = useState(false);
  const can = mayNotify();
  const onChange = async (wanted: boolean) => {
    const granted = wanted && (await Notification.requestPermission()) === "granted";
    set(granted);
    setRefused(wanted && !granted);
  };
  return (
    <Choice
      label="Notify me when a pipeline finishes"
      on={on && can === true}
      disabled={can === null}
      onChange={(wanted) => void onChange(wanted)}
    >
      {refused || can === null
        ? "This browser blocks notifications. Allow them for this site, then try again."
        : "For pipelines that are not in view, while a tab of this app is open."}
    </Choice>
  );
}

interface ChoiceProps {
  label: string;
  on: boolean;
  disabled?: boolean;
  onChange: (on: boolean) => void;
  children?: ReactNode;
}

function Choice({ label, on, disabled = false, onChange, children }: ChoiceProps) {
  return (
    <label className={styles.toggle}>
      <input
        type="checkbox"
        checked={on}
        disabled={disabled}
        onChange={(event) => onChange(event.target.checked)}
      />
      <span>
        {label}
        <span className={`muted ${styles.hint}`}>{children}</span>
      </span>
    </label>
  );
}
