import "@/pages/parts/parts.css";

import { useEffect, type ReactNode } from "react";

import { useSetting, type Settings } from "@/app/settings";
import { useThemeChoice, THEMES } from "@/app/theme";
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
  children: ReactNode;
}

function Toggle({ name, label, children }: ToggleProps) {
  const [on, set] = useSetting(name);
  return (
    <label className="settings-toggle">
      <input type="checkbox" checked={on} onChange={(event) => set(event.target.checked)} />
      <span>
        {label}
        <span className="muted settings-hint">{children}</span>
      </span>
    </label>
  );
}
