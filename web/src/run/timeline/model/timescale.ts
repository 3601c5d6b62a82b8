/** Zooming and panning of a time range, in seconds. */

import type { Range } from "@/run/timeline/model/lanes";

const MIN_LENGTH = 0.01;

/** The x position of a time in a view. */
export function xOf(time: number, view: Range, width: number): number {
  return ((time - view.from) / (view.to - view.from)) * width;
}

/** A range with a margin, never empty. */
export function padded({ from, to }: Range): Range {
  const length = Math.max(to - from, MIN_LENGTH);
  return { from: from - length * 0.01, to: from + length * 1.03 };
}

/** Zoom by `factor` (above 1 zooms out), keeping the time `around` in place. */
export function zoomed(view: Range, whole: Range, factor: number, around: number): Range {
  const length = (view.to - view.from) * factor;
  if (length >= whole.to - whole.from) return whole;
  const share = (around - view.from) / (view.to - view.from);
  const shown = Math.max(MIN_LENGTH, length);
  const from = around - share * shown;
  return within({ from, to: from + shown }, whole);
}

/** Move a view by a share of its length, within the whole. */
export function panned(view: Range, whole: Range, share: number): Range {
  const by = (view.to - view.from) * share;
  return within({ from: view.from + by, to: view.to + by }, whole);
}

function within(view: Range, whole: Range): Range {
  const length = view.to - view.from;
  const from = Math.max(whole.from, Math.min(view.from, whole.to - length));
  return { from, to: from + length };
}

const STEPS = [
  0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900,
  1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800,
] as const;

/** Offsets from `origin` of at most `max` ticks, and their step. */
export function ticks(view: Range, origin: number, max: number): { step: number; at: number[] } {
  const length = view.to - view.from;
  const step =
    STEPS.find((one) => length / one <= max) ?? Math.ceil(length / max / 86_400) * 86_400;
  const at: number[] = [];
  for (let n = Math.ceil((view.from - origin) / step); n * step <= view.to - origin; n += 1) {
    at.push(n * step);
  }
  return { step, at };
}

/** An offset: `+1.25s`, `+2:05`, `+1:02:05`, `+2d 1:00`. */
export function tickText(seconds: number, step: number): string {
  const sign = seconds < 0 ? "−" : "+";
  const whole = Math.abs(seconds);
  if (whole < 60) {
    const digits = step >= 1 ? 0 : step >= 0.1 ? 1 : step >= 0.01 ? 2 : 3;
    return `${sign}${whole.toFixed(digits)}s`;
  }
  const rounded = step >= 1 ? Math.round(whole) : Math.floor(whole);
  const rest = step >= 1 ? "" : (whole - rounded).toFixed(step >= 0.1 ? 1 : 3).slice(1);
  const days = Math.floor(rounded / 86_400);
  const hours = Math.floor((rounded % 86_400) / 3600);
  const minutes = Math.floor((rounded % 3600) / 60);
  const two = (value: number) => String(value).padStart(2, "0");
  if (days > 0) return `${sign}${days}d ${hours}:${two(minutes)}`;
  const head = hours > 0 ? `${hours}:${two(minutes)}` : String(minutes);
  return `${sign}${head}:${two(rounded % 60)}${rest}`;
}
