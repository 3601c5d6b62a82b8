import "@/components/pages.css";

import { useEffect, useState, type ReactNode } from "react";

import { mayNotify } from "@/components/useNotices";
import { type Settings, useSetting } from "@/lib/settings";
import { THEMES, useThemeChoice } from "@/lib/theme";
import { moment } from "@/lib/time";
import { KeyList } from "@/pages/pipeline/HelpDialog";

/** What the reader prefers; kept in this browser only. */
export function SettingsPage() {
  useEffect(() => {
    document.title = "Settings · Conducto";
  }, []);
  return (
    <div className="page settings">
      <h1>Settings</h1>
      <p className="muted">They are kept in this browser.</p>
      <section className="card settings-card">
        <ThemeChoice />
        <Toggle name="utc" label="Times in UTC">
          Else by this computer’s clock. <Example />
        </Toggle>
        <Toggle name="exact" label="Say when something was, not how long ago" />
        <NotifyToggle />
        <Toggle name="wrap" label="Wrap long lines of output">
          Else they are scrolled sideways.
        </Toggle>
        <Toggle name="askAlways" label="Ask before every order">
          Else only before one that touches more than one Exec, or ends what runs.
        </Toggle>
        <Toggle name="keys" label="Orders by single keys">
          Letters such as <kbd>r</kbd> for reset. Switch it off if you set them off by accident.
        </Toggle>
      </section>
      <section>
        <h2 className="agent-title">Keys on the page of a pipeline</h2>
        <div className="card settings-keys">
          <KeyList />
        </div>
      </section>
    </div>
  );
}

const WORDS = { system: "as the system has it", light: "light", dark: "dark" } as const;

function ThemeChoice() {
  const [theme, setTheme] = useThemeChoice();
  return (
    <fieldset className="settings-theme">
      <legend>Theme</legend>
      {THEMES.map((one) => (
        <label key={one}>
          <input type="radio" name="theme" checked={one === theme} onChange={() => setTheme(one)} />
          {WORDS[one]}
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

/** What the time is now, in the zone that is chosen. */
function Example() {
  useSetting("utc");
  const [now] = useState(() => Date.now() / 1000);
  return <span className="number">Now: {moment(now)}</span>;
}

/** The browser must allow notifications before they can be switched on. */
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
      label="Notify me when a pipeline comes to an end"
      on={on && can === true}
      disabled={can === null}
      onChange={(wanted) => void onChange(wanted)}
    >
      {refused || can === null
        ? "This browser does not allow it: allow notifications for this address, then try again."
        : "While a tab of this app is open, of pipelines that you do not look at."}
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
    <label className="settings-toggle">
      <input
        type="checkbox"
        checked={on}
        disabled={disabled}
        onChange={(event) => onChange(event.target.checked)}
      />
      <span>
        {label}
        <span className="muted settings-hint">{children}</span>
      </span>
    </label>
  );
}
