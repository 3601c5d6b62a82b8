/** The form for new parameters and the changes in it. The server validates the values. */

import type { Changes, NodeDetail } from "@/api/schema";

export interface EnvLine {
  name: string;
  value: string;
}

/** Text of the fields; empty means not set on this node. */
export interface ModifyForm {
  values: Record<TextField | NumberField, string>;
  env: EnvLine[];
}

const TEXTS = ["command", "image", "max_time", "doc"] as const;
const NUMBERS = ["cpu", "mem", "gpu", "max_concurrent", "retry_lost", "budget"] as const;
export type TextField = (typeof TEXTS)[number];
export type NumberField = (typeof NUMBERS)[number];

export function formOf(detail: NodeDetail): ModifyForm {
  const known = new Map(detail.parameters.map((one) => [one.name, one.value]));
  const values = Object.fromEntries(
    [...TEXTS, ...NUMBERS].map((name) => [name, textOf(known.get(name))]),
  ) as ModifyForm["values"];
  values.command = detail.node.command ?? "";
  values.doc = detail.node.doc ?? "";
  return { values, env: detail.env.map(({ name, value }) => ({ name, value })) };
}

function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  return typeof value === "number" ? String(value) : "";
}

/** The changed fields for the API; null removes a value. */
export function changesOf(before: ModifyForm, after: ModifyForm): Partial<Changes> {
  const changes: Record<string, unknown> = {};
  for (const name of TEXTS) {
    const value = after.values[name];
    if (value !== before.values[name]) changes[name] = value === "" ? null : value;
  }
  for (const name of NUMBERS) {
    const value = after.values[name].trim();
    // The server reports an invalid number.
    if (value !== before.values[name]) changes[name] = value === "" ? null : numberOr(value);
  }
  const env = envChanges(before.env, after.env);
  if (Object.keys(env).length > 0) changes.env = env;
  return changes;
}

function numberOr(value: string): number | string {
  const parsed = Number(value);
  return Number.isFinite(parsed) ? parsed : value;
}

function envChanges(before: readonly EnvLine[], after: readonly EnvLine[]) {
  const old = new Map(before.map(({ name, value }) => [name, value]));
  const now = new Map(
    after.filter(({ name }) => name !== "").map(({ name, value }) => [name, value]),
  );
  const changes: Record<string, string | null> = {};
  for (const [name, value] of now) if (old.get(name) !== value) changes[name] = value;
  for (const name of old.keys()) if (!now.has(name)) changes[name] = null;
  return changes;
}
