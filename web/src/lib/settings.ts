/** What the reader prefers, kept in this browser. */

import { useCallback, useSyncExternalStore } from "react";

import { showTimesIn } from "@/lib/time";

export interface Settings {
  /** Long lines of output are wrapped. */
  wrap: boolean;
  /** Ask before every order that changes something, not only before far-reaching ones. */
  askAlways: boolean;
  /** Single letters give orders and move. */
  keys: boolean;
  /** Times of day in UTC, else as the computer's clock has them. */
  utc: boolean;
  /** When something was, rather than how long ago. */
  exact: boolean;
  /** The browser tells when a pipeline comes to an end. */
  notify: boolean;
}

const DEFAULTS: Settings = {
  wrap: false,
  askAlways: false,
  keys: true,
  utc: false,
  exact: false,
  notify: false,
};
const KEY = "conducto.settings";

let current = read();
showTimesIn(current.utc ? "UTC" : undefined);
const listeners = new Set<() => void>();

/** What was stored, as far as it makes sense. */
export function parseSettings(text: string | null): Settings {
  let found: unknown;
  try {
    found = text === null ? null : JSON.parse(text);
  } catch {
    found = null;
  }
  const given = typeof found === "object" && found !== null ? found : {};
  const settings = { ...DEFAULTS };
  for (const [name, value] of Object.entries(given)) {
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

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  window.addEventListener("storage", onOtherTab);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) window.removeEventListener("storage", onOtherTab);
  };
}

function onOtherTab(event: StorageEvent): void {
  if (event.key === KEY) take(parseSettings(event.newValue));
}

function take(settings: Settings): void {
  current = settings;
  showTimesIn(settings.utc ? "UTC" : undefined);
  for (const listener of listeners) listener();
}

/** The settings as they are now, for what is no component. */
export function currentSettings(): Settings {
  return current;
}

export function changeSetting<Name extends keyof Settings>(
  name: Name,
  value: Settings[Name],
): void {
  take({ ...current, [name]: value });
  try {
    localStorage.setItem(KEY, JSON.stringify(current));
  } catch {
    // Without storage it holds for this page.
  }
}

/** One setting, and what changes it. */
export function useSetting<Name extends keyof Settings>(
  name: Name,
): [Settings[Name], (value: Settings[Name]) => void] {
  const value = useSyncExternalStore(subscribe, () => current[name]);
  return [value, useCallback((next: Settings[Name]) => changeSetting(name, next), [name])];
}
