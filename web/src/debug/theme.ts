/** Terminal colours from the theme. */

import type { ITheme } from "@xterm/xterm";

import { themeValue } from "@/components/canvas";

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

export function monospace(): string {
  return themeValue("mono");
}

export function terminalTheme(): ITheme {
  return {
    background: themeValue("ground"),
    foreground: themeValue("text"),
    cursor: themeValue("text"),
    cursorAccent: themeValue("ground"),
    selectionBackground: themeValue("selected"),
    scrollbarSliderBackground: themeValue("line-strong"),
    scrollbarSliderHoverBackground: themeValue("text-2"),
    scrollbarSliderActiveBackground: themeValue("text-2"),
    ...Object.fromEntries(ANSI.map((name, number) => [name, themeValue(`ansi-${number}`)])),
  };
}
