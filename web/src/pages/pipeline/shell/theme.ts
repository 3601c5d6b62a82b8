/** Terminal colours from the theme. */

import type { ITheme } from "@xterm/xterm";

const ANSI = [
  "black",
  "red",
  "green",
  "yellow",
  "blue",
  "magenta",
  "cyan",
  "white",
  "brightBlack",
  "brightRed",
  "brightGreen",
  "brightYellow",
  "brightBlue",
  "brightMagenta",
  "brightCyan",
  "brightWhite",
] as const;

function token(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

export function monospace(): string {
  return token("--mono");
}

export function terminalTheme(): ITheme {
  return {
    background: token("--ground"),
    foreground: token("--text"),
    cursor: token("--text"),
    cursorAccent: token("--ground"),
    selectionBackground: token("--chosen"),
    scrollbarSliderBackground: token("--line-strong"),
    scrollbarSliderHoverBackground: token("--muted"),
    scrollbarSliderActiveBackground: token("--muted"),
    ...Object.fromEntries(ANSI.map((name, number) => [name, token(`--ansi-${number}`)])),
  };
}

/** Call `changed` on every theme change. Returns a function that stops this. */
export function onThemeChange(changed: () => void): () => void {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const observer = new MutationObserver(changed);
  observer.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  dark.addEventListener("change", changed);
  return () => {
    observer.disconnect();
    dark.removeEventListener("change", changed);
  };
}
