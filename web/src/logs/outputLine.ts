import type { GroupLine } from "@/components/LogLine";
import type { Span } from "@/lib/ansi";
import { duration, moment, plural, sinceStart } from "@/lib/time";
import { visible } from "@/lib/visible";
import type { Output } from "@/logs/live/output";
import type { Folding } from "@/logs/useFolding";

const groupSize = (lines: string, seconds: number | null) =>
  seconds === null || seconds < 0.1 ? lines : `${lines}, ${duration(seconds)}`;

interface Options {
  /** The time that others are relative to; null to show none. */
  start: number | null;
  /** Mark the lines of stderr. */
  marksErrors: boolean;
  folding: Folding;
  /** Called before a group opens or closes. */
  onToggle: () => void;
}

export interface OutputLine {
  number: number;
  spans: Span[] | undefined;
  time?: readonly [text: string, title: string] | null;
  mark?: string | null;
  group: GroupLine | null;
}

/** A line of an output, or the first line of a group. */
export function outputLine(output: Output, place: number, options: Options): OutputLine {
  const { start, marksErrors, folding, onToggle } = options;
  const { spans, stream, time } = output.lineAt(place);
  const found = folding.startingAt(place);
  const group =
    found === null
      ? null
      : {
          title: visible(found.group.title),
          open: found.open,
          note: sizeOf(output, found.group),
          onToggle: () => {
            onToggle();
            folding.toggle(found.group);
          },
        };
  return {
    number: place,
    spans,
    group,
    ...(start === null
      ? {}
      : { time: time === null ? null : [sinceStart(time - start), moment(time)] }),
    ...(marksErrors ? { mark: stream === "stderr" ? "err" : null } : {}),
  };
}

/** `38 lines, 0.4s`. */
function sizeOf(output: Output, { start, end }: { start: number; end: number }): string {
  const [begun, next] = [output.lineAt(start).time, output.lineAt(end).time];
  const time = begun === null || next === null ? null : Math.max(0, next - begun);
  return groupSize(plural(end - start - 1, "line"), time);
}
