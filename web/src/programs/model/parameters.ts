/**
 * The fields of a launch form. A value is the word that it is on a command line, as in the API; the
 * server checks everything again, and the script has the last word.
 */

import type { ProgramCall, ProgramParameter } from "@/api/schema";

export type FieldKind = "switch" | "choice" | "list" | "date" | "number" | "text";

/** `{parameter: word}`. */
export type Words = Readonly<Record<string, string>>;

interface Schema {
  type?: string;
  format?: string;
  enum?: string[];
  anyOf?: Schema[];
  items?: Schema;
}

/** The word of Python's None. */
export const NONE = "None";
const TRUE = ["true", "t", "yes", "y", "1"];
const FALSE = ["false", "f", "no", "n", "0"];

function schemaOf({ type }: ProgramParameter): Schema {
  return type;
}

/** The type without None; null for a union of several types. */
function plainSchema(schema: Schema): Schema | null {
  if (schema.anyOf === undefined) return schema;
  const others = schema.anyOf.filter((one) => one.type !== "null");
  return others.length === 1 ? (others[0] ?? null) : null;
}

export function isOptional(parameter: ProgramParameter): boolean {
  return (schemaOf(parameter).anyOf ?? []).some((one) => one.type === "null");
}

export function fieldKind(parameter: ProgramParameter): FieldKind {
  const schema = plainSchema(schemaOf(parameter));
  if (schema === null) return "text";
  if (schema.enum !== undefined) return "choice";
  if (schema.type === "boolean") return isOptional(parameter) ? "choice" : "switch";
  if (schema.type === "array") return isOptional(parameter) ? "text" : "list";
  if (schema.format === "date") return "date";
  return schema.type === "integer" || schema.type === "number" ? "number" : "text";
}

/** The choices of a field, with None if it is one of them. */
export function choicesOf(parameter: ProgramParameter): readonly string[] {
  const schema = plainSchema(schemaOf(parameter)) ?? {};
  const values = schema.enum ?? ["true", "false"];
  return isOptional(parameter) ? [...values, NONE] : values;
}

export function isOn(word: string): boolean {
  return TRUE.includes(word.toLowerCase());
}

/** The parameters with a field: values of secrets are not entered here. */
export function shownParameters(call: ProgramCall): readonly ProgramParameter[] {
  return call.parameters.filter((one) => !one.secret);
}

/** The words of a call, with the defaults of the parameters that were not given. */
export function initialWords(call: ProgramCall): Words {
  const words: Record<string, string> = {};
  for (const { name, default: preset } of shownParameters(call)) {
    const word = call.arguments[name] ?? preset;
    if (word !== null) words[name] = word;
  }
  return words;
}

/** The arguments to send: those that differ from their defaults. */
export function argumentsOf(call: ProgramCall, words: Words): Record<string, string> {
  const changed = shownParameters(call).filter(({ name, default: preset, required }) => {
    const word = words[name];
    return word !== undefined && (required || word !== preset);
  });
  return Object.fromEntries(changed.map(({ name }) => [name, words[name] ?? ""]));
}

export interface Change {
  name: string;
  before: string;
  after: string;
}

/** The values that differ from those of the call. */
export function changesOf(call: ProgramCall, words: Words): readonly Change[] {
  const before = initialWords(call);
  return shownParameters(call)
    .map(({ name }) => ({ name, before: before[name] ?? "", after: words[name] ?? "" }))
    .filter((one) => one.before !== one.after);
}

/** `{parameter: reason}` of the values that cannot be sent. */
export function problemsOf(call: ProgramCall, words: Words): Record<string, string> {
  const found: Record<string, string> = {};
  for (const parameter of shownParameters(call)) {
    const word = words[parameter.name];
    const reason =
      word === undefined
        ? parameter.required
          ? "needs a value"
          : null
        : wordProblem(schemaOf(parameter), word);
    if (reason !== null) found[parameter.name] = reason;
  }
  return found;
}

/** The reason why a word does not fit a type. */
export function wordProblem(schema: Schema, word: string): string | null {
  if (schema.anyOf !== undefined) {
    const reasons = schema.anyOf.map((one) => wordProblem(one, word));
    return reasons.includes(null) ? null : (reasons[0] ?? null);
  }
  if (schema.enum !== undefined) {
    return schema.enum.includes(word) ? null : `must be one of ${schema.enum.join(", ")}`;
  }
  if (schema.type === "array") return listProblem(schema.items ?? {}, word);
  const check = CHECKS[schema.format ?? schema.type ?? ""];
  return check === undefined || check.accepts(word) ? null : check.problem;
}

function listProblem(items: Schema, word: string): string | null {
  for (const [place, item] of itemsOf(word).entries()) {
    const reason = wordProblem(items, item);
    if (reason !== null) return `item ${place + 1} ${reason}`;
  }
  return null;
}

const CHECKS: Record<string, { accepts: (word: string) => boolean; problem: string }> = {
  integer: {
    accepts: (word) => /^\s*[+-]?\d[\d_]*\s*$/.test(word),
    problem: "must be a whole number",
  },
  number: {
    accepts: (word) =>
      /^[+-]?(inf(inity)?|nan)$/i.test(word) ||
      (word.trim() !== "" && !Number.isNaN(Number(word.replaceAll("_", "")))),
    problem: "must be a number",
  },
  boolean: {
    accepts: (word) => [...TRUE, ...FALSE].includes(word.toLowerCase()),
    problem: "must be true or false",
  },
  null: { accepts: (word) => word === NONE, problem: "must be None" },
  date: { accepts: isDate, problem: "must be a date such as 2026-01-31" },
  "date-time": {
    accepts: (word) => !Number.isNaN(Date.parse(word)) && isDate(word.slice(0, 10)),
    problem: "must be a date and time such as 2026-01-31T18:30",
  },
  time: {
    accepts: (word) => /^\d{2}(:\d{2}){0,2}/.test(word),
    problem: "must be a time such as 18:30",
  },
  duration: {
    accepts: (word) => /^[+-]?(\d+(\.\d+)?|(\d+(\.\d+)?(us|ms|[wdhms]))+)$/.test(word),
    problem: "must be a duration such as 90s or 1h30m",
  },
};

/** Whether a day exists: JavaScript reads 31 November as 1 December. */
function isDate(word: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(word)) return false;
  const read = new Date(`${word}T00:00:00Z`);
  return !Number.isNaN(read.getTime()) && read.toISOString().startsWith(word);
}

/** The items of a list: of a JSON array, or between commas that are not escaped. */
export function itemsOf(word: string): string[] {
  if (word.startsWith("[")) {
    try {
      const data: unknown = JSON.parse(word);
      if (Array.isArray(data)) {
        return data.map((item) => (typeof item === "string" ? item : JSON.stringify(item)));
      }
    } catch {
      // not JSON: a list of words
    }
  }
  if (word === "") return [];
  return word.split(/(?<!\\),/).map((part) => part.replaceAll("\\,", ","));
}

/** The word of a list. */
export function wordOfItems(items: readonly string[]): string {
  const isPlain = items.every((item) => item !== "" && !/[,\\[]/.test(item));
  return isPlain ? items.join(",") : JSON.stringify(items);
}
