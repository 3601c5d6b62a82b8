/** User settings, stored in the browser. */

import { useCallback, useSyncExternalStore } from "react";

import { Listeners } from "@/lib/listeners";
import { setTimeZone } from "@/lib/time";

export interface Settings {
  wrap: boolean;
  /** Show the time of each line of output. */
  lineTimes: boolean;
  /** Confirm every action, not only those with large effects. */
  alwaysConfirm: boolean;
  /** Enable single-key shortcuts. */
  keys: boolean;
  /** Show times in UTC instead of local time. */
  utc: boolean;
  /** Show absolute instead of relative times. */
  exact: boolean;
  /** Show a browser notification when a pipeline finishes. */
  notify: boolean;
}

const DEFAULTS: Settings = {
  wrap: false,
  lineTimes: true,
  alwaysConfirm: false,
  keys: true,
  utc: false,
  exact: false,
  notify: false,
};
const KEY = "conducto.settings";

let current = read();
setTimeZone(current.utc ? "UTC" : undefined);
const listeners = new Listeners();
window.addEventListener("storage", ({ key, newValue }) => {
  if (key === KEY) update(parseSettings(newValue));
});

/** Parse stored settings, ignoring invalid values. */
export function parseSettings(text: string | null): Settings {
  let parsed: unknown;
  try {
    parsed = text === null ? null : JSON.parse(text);
  } catch {
    parsed = null;
  }
  const values = typeof parsed === "object" && parsed !== null ? parsed : {};
  const settings = { ...DEFAULTS };
  for (const [name, value] of Object.entries(values)) {
    if (name in DEFAULTS && typeof value === "boolean") settings[name as keyof Settings] = value;
  }
  return settings;
}

function read(): Settings {
  try {
    return parseSettings(localStorage.getItem(KEY));
  } catch {
    return DEFAULTS;
  }
}

function update(settings: Settings): void {
  current = settings;
  setTimeZone(settings.utc ? "UTC" : undefined);
  listeners.notify();
}

/** The current settings, outside components. */
export function currentSettings(): Settings {
  return current;
}

export function changeSetting<Name extends keyof Settings>(
  name: Name,
  value: Settings[Name],
): void {
  update({ ...current, [name]: value });
  try {
    localStorage.setItem(KEY, JSON.stringify(current));
  } catch {
    // Without storage, the setting lasts until the page is closed.
  }
}

/** A setting and its setter. */
export function useSetting<Name extends keyof Settings>(
  name: Name,
): [Settings[Name], (value: Settings[Name]) => void] {
  const value = useSyncExternalStore(listeners.subscribe, () => current[name]);
  return [value, useCallback((next: Settings[Name]) => changeSetting(name, next), [name])];
}
