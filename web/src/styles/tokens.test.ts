import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

const CSS = readFileSync(new URL("./tokens.css", import.meta.url), "utf8");
const GROUNDS = ["surface", "ground", "sunken", "hover", "selected", "raised"];
const STATES = [
  "pending",
  "queued",
  "running",
  "done",
  "error",
  "killed",
  "warning",
  "skipped",
  "approval",
];

type Theme = "light" | "dark";

/** The colours of a theme, as red, green and blue. */
function coloursOf(theme: Theme): ReadonlyMap<string, readonly number[]> {
  const pairs = CSS.matchAll(/--([\w-]+): light-dark\((#\w{6}), (#\w{6})\);/g);
  return new Map(
    Array.from(pairs, ([, name = "", light = "", dark = ""]) => [
      name,
      [1, 3, 5].map((at) => parseInt((theme === "light" ? light : dark).slice(at, at + 2), 16)),
    ]),
  );
}

/** Relative luminance, as WCAG 2 defines it. */
function luminance(colour: readonly number[]): number {
  const [red = 0, green = 0, blue = 0] = colour.map((one) => {
    const share = one / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(theme: Theme, first: string, second: string): number {
  const colours = coloursOf(theme);
  const [high = 0, low = 0] = [first, second]
    .map((name) => {
      const colour = colours.get(name);
      if (colour === undefined) throw new Error(`unknown colour: ${name}`);
      return luminance(colour);
    })
    .sort((one, other) => other - one);
  return (high + 0.05) / (low + 0.05);
}

/** Pairs below a contrast. */
function below(theme: Theme, least: number, pairs: readonly (readonly [string, string])[]) {
  return pairs
    .map(([first, second]) => ({ first, second, ratio: contrast(theme, first, second) }))
    .filter(({ ratio }) => ratio < least)
    .map(({ first, second, ratio }) => `${first} on ${second}: ${ratio.toFixed(2)}`);
}

const TEXTS = ["text", "text-2", "text-3", "accent", "danger", "paused", ...STATES];

test.each(["light", "dark"] as const)("text has a contrast of 4.5 in the %s theme", (theme) => {
  expect(
    below(theme, 4.5, [
      ...TEXTS.flatMap((text) => GROUNDS.map((ground) => [text, ground] as const)),
      ...[...STATES, "paused"].map((state) => [state, `${state}-tint`] as const),
      ...[...STATES, "paused"].map((state) => ["text", `${state}-tint`] as const),
      ["ink-text", "ink"],
      ["danger-text", "danger-fill"],
      ["approval-text", "approval-fill"],
      ["surface", "warning"],
      ["accent", "accent-tint"],
      ["text", "accent-tint"],
      ...["error", "warning", "running"].map((state) => ["text-2", `${state}-tint`] as const),
      ...Array.from({ length: 16 }, (_, index) => [`ansi-${index}`, "ground"] as const),
      ...Array.from({ length: 16 }, (_, index) => [`ansi-${index}`, "sunken"] as const),
    ]),
  ).toEqual([]);
});

test.each(["light", "dark"] as const)("graphics have a contrast of 3 in the %s theme", (theme) => {
  // Done and skipped are pale: counts and shapes carry their meaning.
  const loud = ["pending", "queued", "running", "error", "killed", "warning", "paused", "approval"];
  expect(
    below(theme, 3, [
      ...loud.map((state) => [`${state}-fill`, "surface"] as const),
      ["edge", "surface"],
      ["edge", "raised"],
      ["error-fill", "done-fill"],
    ]),
  ).toEqual([]);
});
