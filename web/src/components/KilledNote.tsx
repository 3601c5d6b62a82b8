import { plural } from "@/lib/time";

/** Warns how many running commands an action kills. */
export function KilledNote({ count }: { count: number }) {
  return count === 0 ? null : (
    <p className="state-killed">{plural(count, "command")} running now will be killed.</p>
  );
}
