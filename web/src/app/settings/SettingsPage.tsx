import { useState, type ReactNode } from "react";

import { mayNotify } from "@/components/useNotifications";
import { Page } from "@/components/Page";
import { KeyList } from "@/components/HelpDialog";
import { type Settings, useSetting } from "@/lib/settings";
import { THEMES, useThemeChoice } from "@/lib/theme";
import { moment } from "@/lib/time";
import agentPageStyles from "@/remote/agent/AgentPage.module.css";
import styles from "@/app/settings/SettingsPage.module.css";
import { SETTINGS } from "@/app/texts/settings";

/** User settings, stored in this browser. */
export function SettingsPage() {
  return (
    <Page title={SETTINGS.title}>
      <p className="muted">{SETTINGS.help}</p>
      <section className={`card ${styles.card}`}>
        <ThemeChoice />
        <Toggle name="utc" label={SETTINGS.utc}>
          {SETTINGS.utcHelp}
          <Example />
        </Toggle>
        <Toggle name="exact" label={SETTINGS.exact} />
        <NotifyToggle />
        <Toggle name="wrap" label={SETTINGS.wrap}>
          {SETTINGS.wrapHelp}
        </Toggle>
        <Toggle name="alwaysConfirm" label={SETTINGS.confirm}>
          {SETTINGS.confirmHelp}
        </Toggle>
        <Toggle name="keys" label={SETTINGS.keys}>
          {SETTINGS.keysSuchAs}
          <kbd>r</kbd>
          {SETTINGS.keysHelp}
        </Toggle>
      </section>
      <section>
        <h2 className={agentPageStyles.title}>{SETTINGS.shortcuts}</h2>
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
      <legend>{SETTINGS.theme}</legend>
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
  return <span className="number">{SETTINGS.now(moment(now))}</span>;
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
      label={SETTINGS.notify}
      on={on && can === true}
      disabled={can === null}
      onChange={(wanted) => void onChange(wanted)}
    >
      {refused || can === null ? SETTINGS.notifyBlocked : SETTINGS.notifyHelp}
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
