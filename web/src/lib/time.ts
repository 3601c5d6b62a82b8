/** Formats times, durations and counts. Input is in seconds. */

/** `40ms`, `0.4s`, `12s`, `3m 05s`, `2h 10m`, `3d 4h`. */
export function duration(seconds: number): string {
  const whole = Math.max(0, seconds);
  if (whole < 0.0995) return `${Math.round(whole * 1000)}ms`;
  if (whole < 10) return `${whole.toFixed(1)}s`;
  const rounded = Math.round(whole);
  if (rounded < 60) return `${rounded}s`;
  if (rounded < 3600) return `${Math.floor(rounded / 60)}m ${two(rounded % 60)}s`;
  const minutes = Math.floor(rounded / 60);
  if (minutes < 1440) return `${Math.floor(minutes / 60)}h ${two(minutes % 60)}m`;
  const hours = Math.floor(minutes / 60);
  return `${Math.floor(hours / 24)}d ${hours % 24}h`;
}

/** A time since a start, such as `+1.1`, `+1:05.3` or `+2:01:05`. */
export function sinceStart(seconds: number): string {
  const tenths = Math.max(0, Math.round(seconds * 10));
  const [minutes, rest] = [Math.floor(tenths / 600), (tenths % 600) / 10];
  if (minutes === 0) return `+${rest.toFixed(1)}`;
  if (minutes < 60) return `+${minutes}:${rest.toFixed(1).padStart(4, "0")}`;
  return `+${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(Math.floor(rest))}`;
}

/** Time since the start, until the end or `now`; null before the start. */
export function elapsed(started: number | null, ended: number | null, now: number): number | null {
  if (started === null) return null;
  return Math.max(0, (ended ?? now) - started);
}

let zone: "UTC" | undefined;

/** Set the time zone of displayed times; undefined is the local one. */
export function setTimeZone(chosen: "UTC" | undefined): void {
  zone = chosen;
}

/** Formatters by their options: one costs as much as a hundred uses of it. */
const formatters = new Map<string, Intl.DateTimeFormat>();

function format(date: Date, options: Intl.DateTimeFormatOptions): string {
  const key = `${Object.keys(options).join()} ${zone ?? ""}`;
  const known = formatters.get(key) ?? new Intl.DateTimeFormat(undefined, withZone(options));
  formatters.set(key, known);
  return known.format(date);
}

function withZone(options: Intl.DateTimeFormatOptions): Intl.DateTimeFormatOptions {
  return zone === undefined ? options : { ...options, timeZone: zone };
}

const CLOCK = { hour: "numeric", minute: "numeric", second: "numeric", hourCycle: "h23" } as const;
const DAY = { day: "numeric", month: "short" } as const;
const MINUTE = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" } as const;

/** `14:02:11` today, `24 Nov 14:02` this year, otherwise with the year; UTC times end in `UTC`. */
export function moment(seconds: number, now: Date = new Date()): string {
  const then = new Date(seconds * 1000);
  const [isYear, isDay] = isSame(then, now);
  const year = isYear ? {} : ({ year: "numeric" } as const);
  const shown = format(then, isDay ? CLOCK : { ...DAY, ...year, ...MINUTE });
  return zone === undefined ? shown : `${shown} ${zone}`;
}

/** Whether two times are in the same year, and on the same day. */
function isSame(one: Date, other: Date): [year: boolean, day: boolean] {
  const [first, second] = [calendarOf(one), calendarOf(other)];
  return [first[0] === second[0], first.join() === second.join()];
}

function calendarOf(date: Date): readonly [year: number, month: number, day: number] {
  return zone === undefined
    ? [date.getFullYear(), date.getMonth(), date.getDate()]
    : [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()];
}

/** `24 Nov`, in the chosen time zone. */
export function day(seconds: number): string {
  return format(new Date(seconds * 1000), DAY);
}

/** `just now`, `4 min ago`, `3 h ago`, `2 days ago`. */
export function ago(seconds: number, now: number): string {
  const past = Math.max(0, now - seconds);
  if (past < 60) return "just now";
  if (past < 3600) return `${Math.floor(past / 60)} min ago`;
  if (past < 86_400) return `${Math.floor(past / 3600)} h ago`;
  const days = Math.floor(past / 86_400);
  return days === 1 ? "yesterday" : `${days} days ago`;
}

/** Bytes as `512 B`, `1.5 kB`, `12 MB`. */
export function bytes(count: number): string {
  if (count < 1000) return `${count} B`;
  const units = ["kB", "MB", "GB", "TB"];
  let value = count;
  let unit = "";
  for (const next of units) {
    if (value < 1000) break;
    value /= 1000;
    unit = next;
  }
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit}`;
}

/** `1 command`, `1,200 commands`. */
export function plural(count: number, word: string): string {
  return `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}
