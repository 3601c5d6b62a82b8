/** Differences between two attempts. */

import type { AttemptRecord } from "@/api/schema";
import { failureText, stateLabel } from "@/run/model/states";

export interface Difference {
  label: string;
  before: string | null;
  after: string | null;
}

/** Differences in command, image, size and environment, then in the outcome. */
export function differences(first: AttemptRecord, second: AttemptRecord): Difference[] {
  const pairs: Difference[] = [
    { label: "command", before: first.command, after: second.command },
    { label: "image", before: first.image, after: second.image },
    { label: "cpu", before: numberText(first.cpu), after: numberText(second.cpu) },
    { label: "mem", before: numberText(first.mem), after: numberText(second.mem) },
  ];
  const names = new Set([...Object.keys(first.env), ...Object.keys(second.env)]);
  for (const name of [...names].toSorted()) {
    pairs.push({
      label: `env ${name}`,
      before: first.env[name] ?? null,
      after: second.env[name] ?? null,
    });
  }
  pairs.push({ label: "ended", before: outcome(first), after: outcome(second) });
  return pairs.filter((pair) => pair.before !== pair.after);
}

function outcome({ state, cause, exit_code: code }: AttemptRecord): string {
  return failureText(cause, code) ?? stateLabel(state);
}

function numberText(amount: number | null): string | null {
  return amount === null ? null : String(amount);
}
