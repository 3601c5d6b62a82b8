import { useSyncExternalStore } from "react";

import { Listeners } from "@/lib/listeners";

export type Theme = "system" | "light" | "dark";

const KEY = "conducto.theme";
export const THEMES: readonly Theme[] = ["system", "light", "dark"];

function storedTheme(): Theme {
  try {
    const value = localStorage.getItem(KEY);
    return value === "light" || value === "dark" ? value : "system";
  } catch {
    return "system";
  }
}

function showTheme(theme: Theme): void {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

let current = storedTheme();
// The first paint waits for this script (see `vite.config.ts`), so the page does not flash.
showTheme(current);
const listeners = new Listeners();

function setTheme(theme: Theme): void {
  showTheme(theme);
  current = theme;
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // Without storage, the theme lasts until the page is closed.
  }
  listeners.notify();
}

/** The theme and its setter. */
export function useThemeChoice(): [Theme, (theme: Theme) => void] {
  return [useSyncExternalStore(listeners.subscribe, () => current), setTheme];
}

/** The theme and a function that switches to the next one. */
export function useTheme(): [Theme, () => void] {
  const [theme] = useThemeChoice();
  return [theme, () => setTheme(THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? "system")];
}
