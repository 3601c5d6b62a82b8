/** What differs between two tries of an Exec. */

import type { AttemptRecord } from "@/api/schema";
import { failureText } from "@/model/states";

export interface Difference {
  what: string;
  before: string | null;
  after: string | null;
}

/** What differs, inputs first: command, image, size, environment; then how it ended. */
export function differences(first: AttemptRecord, second: AttemptRecord): Difference[] {
  const pairs: Difference[] = [
    { what: "command", before: first.command, after: second.command },
    { what: "image", before: first.image, after: second.image },
    { what: "cpu", before: written(first.cpu), after: written(second.cpu) },
    { what: "mem", before: written(first.mem), after: written(second.mem) },
  ];
  const names = new Set([...Object.keys(first.env), ...Object.keys(second.env)]);
  for (const name of [...names].toSorted()) {
    pairs.push({
      what: `env ${name}`,
      before: first.env[name] ?? null,
      after: second.env[name] ?? null,
    });
  }
  pairs.push({ what: "ended", before: ending(first), after: ending(second) });
  return pairs.filter((pair) => pair.before !== pair.after);
}

function ending({ state, cause, exit_code: code }: AttemptRecord): string {
  return failureText(cause, code) ?? state;
}

function written(amount: number | null): string | null {
  return amount === null ? null : String(amount);
}
