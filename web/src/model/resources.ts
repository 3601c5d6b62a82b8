/** What an attempt used over time, as a person reads it: a sentence, and the outline of an area. */

import type { Resources } from "@/api/schema";

type Used = Pick<Resources, "cpu" | "memory" | "cpu_limit" | "mem_limit">;

const MB = 2 ** 20;
const GB = 2 ** 30;
/** Seconds that an attempt must have run before anything is known of it. */
export const SHORTEST = 2;

/** `1.7 of 2 CPUs on average, 812 MB of 2 GB at its peak`; null where nothing is known. */
export function resourcesText(used: Used): string | null {
  if (used.cpu.length === 0 || used.memory.length === 0) return null;
  const mean = used.cpu.reduce((sum, one) => sum + one, 0) / used.cpu.length;
  const peak = size(Math.max(...used.memory));
  const cpus = used.cpu_limit === null ? `${cores(mean)} CPUs` : ofCpus(mean, used.cpu_limit);
  const memory = used.mem_limit === null ? peak : `${peak} of ${size(used.mem_limit)}`;
  return `${cpus} on average, ${memory} at its peak`;
}

function ofCpus(used: number, limit: number): string {
  return `${cores(used)} of ${limit} ${limit === 1 ? "CPU" : "CPUs"}`;
}

/** At most one digit behind the point; two that count where it is less than one. */
export function cores(count: number): string {
  return String(Number(count >= 1 ? count.toFixed(1) : count.toPrecision(2)));
}

/** In the units of a node's `mem`: a GB is 2^30 bytes. */
export function size(count: number): string {
  return count >= GB ? `${Number((count / GB).toPrecision(3))} GB` : `${Math.round(count / MB)} MB`;
}

/** What the height of a chart stands for: the limit, or more where more was used. */
export function topOf(values: readonly number[], limit: number | null): number {
  return Math.max(limit ?? 0, ...values) || 1;
}

/** The outline of an area of steps, one for each value, as the path of an SVG. */
export function outline(
  values: readonly number[],
  top: number,
  width: number,
  height: number,
): string {
  const x = (index: number) => round((index * width) / values.length);
  const y = (value: number) => round(height - (Math.min(value, top) * height) / top);
  const steps = values.map((value, index) => `V${y(value)}H${x(index + 1)}`);
  return `M0 ${height}${steps.join("")}V${height}Z`;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
