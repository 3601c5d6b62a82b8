/** Resource use of an attempt as text and chart. */

import type { Resources } from "@/api/schema";

type Usage = Pick<Resources, "cpu" | "memory" | "cpu_limit" | "mem_limit">;

const MB = 2 ** 20;
const GB = 2 ** 30;
/** Shorter attempts have no samples, in seconds. */
export const MIN_DURATION = 2;

/** `1.7 of 2 CPUs on average, 812 MB of 2 GB at peak`; null without samples. */
export function resourcesText(used: Usage): string | null {
  if (used.cpu.length === 0 || used.memory.length === 0) return null;
  const mean = used.cpu.reduce((sum, one) => sum + one, 0) / used.cpu.length;
  const peak = size(Math.max(...used.memory));
  const cpus = used.cpu_limit === null ? `${cores(mean)} CPUs` : ofCpus(mean, used.cpu_limit);
  const memory = used.mem_limit === null ? peak : `${peak} of ${size(used.mem_limit)}`;
  return `${cpus} on average, ${memory} at peak`;
}

function ofCpus(used: number, limit: number): string {
  return `${cores(used)} of ${limit} ${limit === 1 ? "CPU" : "CPUs"}`;
}

/** One decimal, or two significant digits below 1. */
export function cores(count: number): string {
  return String(Number(count >= 1 ? count.toFixed(1) : count.toPrecision(2)));
}

/** In the unit of a node's `mem`: 1 GB is 2^30 bytes. */
export function size(count: number): string {
  return count >= GB ? `${Number((count / GB).toPrecision(3))} GB` : `${Math.round(count / MB)} MB`;
}

/** The maximum of a chart's axis: the limit, or the peak if higher. */
export function chartMax(values: readonly number[], limit: number | null): number {
  return Math.max(limit ?? 0, ...values) || 1;
}

/** The SVG path of a step chart. */
export function outline(
  values: readonly number[],
  max: number,
  width: number,
  height: number,
): string {
  const x = (index: number) => round((index * width) / values.length);
  const y = (value: number) => round(height - (Math.min(value, max) * height) / max);
  const steps = values.map((value, index) => `V${y(value)}H${x(index + 1)}`);
  return `M0 ${height}${steps.join("")}V${height}Z`;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
