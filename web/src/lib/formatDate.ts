import { currentSettings } from "@/lib/settings";
import { ago, moment } from "@/lib/time";

/** How long ago something was, or when, as the reader has chosen. */
export function when(seconds: number, now: number): string {
  return currentSettings().exact ? moment(seconds, new Date(now * 1000)) : ago(seconds, now);
}

/** The other of the two, for a tooltip. */
export function whenElse(seconds: number, now: number): string {
  return currentSettings().exact ? ago(seconds, now) : moment(seconds, new Date(now * 1000));
}
