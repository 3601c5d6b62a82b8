/** The fields of the form of a schedule, and their errors. */

import type { Problem } from "@/api/schema";

type FormField = "pipeline" | "name" | "cron" | "zone";

export type FieldErrors = Partial<Record<FormField, string>>;

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;

/** Why a name is not accepted; null if it is. */
export function nameError(name: string, known: readonly string[]): string | null {
  if (known.includes(name)) return `There is a schedule ${name} already.`;
  return name === "" || NAME.test(name)
    ? null
    : "Use up to 64 letters, digits, dots, dashes and underscores, and begin with a letter or digit.";
}

/** The field that a refusal is about, with the reason; empty if it is about none. */
export function errorsOf(problem: Pick<Problem, "status" | "path" | "detail">): FieldErrors {
  const { status, path, detail } = problem;
  if (path === "cron" || path === "zone") return { [path]: detail.replace(`${path}: `, "") };
  if (status === 409 || detail.startsWith("body.name")) return { name: detail };
  return status === 404 ? { pipeline: detail } : {};
}
