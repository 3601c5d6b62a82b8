import { useSyncExternalStore } from "react";

/** Light, dark, or as the system has it. */
export type Theme = "system" | "light" | "dark";

const KEY = "conducto.theme";
export const THEMES: readonly Theme[] = ["system", "light", "dark"];

function stored(): Theme {
  try {
    const value = localStorage.getItem(KEY);
    return value === "light" || value === "dark" ? value : "system";
  } catch {
    return "system";
  }
}

function show(theme: Theme): void {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

function apply(theme: Theme): void {
  show(theme);
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // Without storage it holds for this page.
  }
}

let current = stored();
// At once: the first paint waits for this script (`vite.config.ts`), so that nothing flashes.
show(current);
const listeners = new Set<() => void>();

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function choose(theme: Theme): void {
  apply(theme);
  current = theme;
  for (const listener of listeners) listener();
}

/** The theme, and what changes it. */
export function useThemeChoice(): [Theme, (theme: Theme) => void] {
  return [useSyncExternalStore(subscribe, () => current), choose];
}

/** The theme, and what switches to the next one. */
export function useTheme(): [Theme, () => void] {
  const [theme] = useThemeChoice();
  return [theme, () => choose(THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? "system")];
}
