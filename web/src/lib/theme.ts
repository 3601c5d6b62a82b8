import { useSyncExternalStore } from "react";

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

function apply(theme: Theme): void {
  showTheme(theme);
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // Without storage, the theme lasts until the page is closed.
  }
}

let current = storedTheme();
// The first paint waits for this script (see `vite.config.ts`), so the page does not flash.
showTheme(current);
const listeners = new Set<() => void>();

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function setTheme(theme: Theme): void {
  apply(theme);
  current = theme;
  for (const listener of listeners) listener();
}

/** The theme and its setter. */
export function useThemeChoice(): [Theme, (theme: Theme) => void] {
  return [useSyncExternalStore(subscribe, () => current), setTheme];
}

/** The theme and a function that switches to the next one. */
export function useTheme(): [Theme, () => void] {
  const [theme] = useThemeChoice();
  return [theme, () => setTheme(THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? "system")];
}
