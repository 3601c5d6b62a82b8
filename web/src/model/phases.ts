/** What an attempt waited for before it ran: its image, its turn, its container. */

import { duration } from "@/lib/time";
import { type Bar, endOf, type PhaseName } from "@/model/lanes";

export interface Phase {
  readonly name: PhaseName;
  readonly from: number;
  readonly to: number;
}

/** Shorter phases are not worth a word, in seconds. */
const LEAST = 0.01;
const WORDS: Record<PhaseName, string> = {
  image: " for its image",
  turn: " for its turn",
  start: " for its container",
  unknown: "",
};

/** The phases of a bar's wait, in order of time; those that took no time are left out. */
export function phasesOf(bar: Bar, now: number): Phase[] {
  const { queued, imageReady, admitted, started } = bar;
  if (queued === null) return [];
  const phases: Phase[] = [];
  let from = queued;
  const take = (name: PhaseName, until: number | null) => {
    if (until === null || until <= from) return;
    phases.push({ name, from, to: until });
    from = until;
  };
  take("image", imageReady);
  take("turn", admitted);
  take(lastPhase(bar), started ?? endOf(bar, now));
  return phases;
}

/** What it waited for since the last moment that is known. */
function lastPhase({ imageReady, admitted, started, waitsFor }: Bar): PhaseName {
  if (waitsFor !== null) return waitsFor;
  if (admitted !== null) return "start";
  return imageReady !== null && started === null ? "turn" : "unknown";
}

/** `waited 4.0s for its image, 1.2s for its turn`. Null for one whose wait is not known. */
export function waitText(bar: Bar, now: number): string | null {
  if (bar.queued === null) return null;
  const phases = phasesOf(bar, now).filter(({ from, to }) => to - from >= LEAST);
  if (phases.length === 0) {
    return `waited ${duration((bar.started ?? endOf(bar, now)) - bar.queued)}`;
  }
  return `waited ${phases.map(({ name, from, to }) => duration(to - from) + WORDS[name]).join(", ")}`;
}
