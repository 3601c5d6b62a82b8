/** The waits of an attempt: for its image, for a slot, for its container, for a person. */

import { duration } from "@/lib/time";
import { type Bar, endOf, type PhaseName } from "@/run/timeline/model/lanes";

export interface Phase {
  readonly name: PhaseName;
  readonly from: number;
  readonly to: number;
}

/** Shorter waits are not mentioned, in seconds. */
const MIN_DURATION = 0.01;
const LABELS: Record<PhaseName, string> = {
  image: " for its image",
  turn: " for a slot",
  start: " for its container",
  approval: " for approval",
  unknown: "",
};

/** The waits of a bar in order, without empty ones. */
export function phasesOf(bar: Bar, now: number): Phase[] {
  const { queued, imageReady, admitted, started } = bar;
  if (queued === null) return [];
  const phases: Phase[] = [];
  let from = queued;
  const add = (name: PhaseName, until: number | null) => {
    if (until === null || until <= from) return;
    phases.push({ name, from, to: until });
    from = until;
  };
  add("image", imageReady);
  add("turn", admitted);
  add(lastPhase(bar), started ?? endOf(bar, now));
  return phases;
}

/** The wait since the last known time. */
function lastPhase({ imageReady, admitted, started, waitsFor }: Bar): PhaseName {
  if (waitsFor !== null) return waitsFor;
  if (admitted !== null) return "start";
  return imageReady !== null && started === null ? "turn" : "unknown";
}

/** `waited 4.0s for its image, 1.2s for a slot`; null if unknown. */
export function waitText(bar: Bar, now: number): string | null {
  if (bar.queued === null) return null;
  const phases = phasesOf(bar, now).filter(({ from, to }) => to - from >= MIN_DURATION);
  if (phases.length === 0) {
    return `waited ${duration((bar.started ?? endOf(bar, now)) - bar.queued)}`;
  }
  return `waited ${phases.map(({ name, from, to }) => duration(to - from) + LABELS[name]).join(", ")}`;
}
