import { currentSettings } from "@/lib/settings";
import { ago, moment } from "@/lib/time";

/** A relative or absolute time, as chosen in the settings. */
export function formatDate(seconds: number, now: number): string {
  return currentSettings().exact ? moment(seconds, new Date(now * 1000)) : ago(seconds, now);
}

/** The other form, for a tooltip. */
export function formatDateTitle(seconds: number, now: number): string {
  return currentSettings().exact ? ago(seconds, now) : moment(seconds, new Date(now * 1000));
}
