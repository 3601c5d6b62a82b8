import { useState } from "react";

/** Light, dark, or as the system has it. `public/theme.js` applies it before the first paint. */
export type Theme = "system" | "light" | "dark";

const KEY = "conducto.theme";
const ORDER: readonly Theme[] = ["system", "light", "dark"];

function stored(): Theme {
  try {
    const value = localStorage.getItem(KEY);
    return value === "light" || value === "dark" ? value : "system";
  } catch {
    return "system";
  }
}

function apply(theme: Theme): void {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // Without storage it holds for this page.
  }
}

/** The theme, and what switches to the next one. */
export function useTheme(): [Theme, () => void] {
  const [theme, setTheme] = useState(stored);
  const next = () => {
    const following = ORDER[(ORDER.indexOf(theme) + 1) % ORDER.length] ?? "system";
    apply(following);
    setTheme(following);
  };
  return [theme, next];
}
