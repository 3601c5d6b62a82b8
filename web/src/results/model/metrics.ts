/** Metrics of an attempt as text and chart. */

import type { MetricSeries } from "@/api/schema";

/** Maximum number of points that a chart draws. */
export const MAX_DRAWN = 400;

/** `0.25, from 0.25 to 1.5, 30 points`: the last value, the range and the number of points. The
 * range of a thinned metric is that of the points that were kept. */
export function metricText({ values, count }: MetricSeries): string {
  const last = values.at(-1) ?? null;
  const finite = values.filter((one) => one !== null);
  const range =
    finite.length > 1
      ? `, from ${number(Math.min(...finite))} to ${number(Math.max(...finite))}`
      : "";
  const kept = values.length < count ? `, ${values.length.toLocaleString("en")} kept` : "";
  return `${last === null ? "null" : number(last)}${range}, ${count.toLocaleString("en")} ${
    count === 1 ? "point" : "points"
  }${kept}`;
}

export function number(value: number): string {
  return String(Number(value.toPrecision(5)));
}

type Points = Pick<MetricSeries, "values" | "steps">;

/** Ranges of steps and values. */
export interface Domain {
  steps: readonly [number, number];
  values: readonly [number, number];
}

export function domainOf(all: readonly Points[]): Domain {
  const points = all.flatMap(drawn);
  const values = points.flatMap(({ value }) => (value === null ? [] : [value]));
  const steps = points.map(({ step }) => step);
  return {
    steps: [Math.min(...steps), Math.max(...steps)],
    values: [Math.min(...values), Math.max(...values)],
  };
}

/** The SVG path of a line chart; a null value interrupts the line. */
export function metricLine(
  series: Points,
  width: number,
  height: number,
  domain: Domain = domainOf([series]),
): string {
  const points = drawn(series);
  const x = scale(...domain.steps, width);
  const y = scale(...domain.values, height);
  let pen = "M";
  let path = "";
  for (const { step, value } of points) {
    if (value !== null) path += `${pen}${round(x(step))} ${round(height - y(value))}`;
    pen = value === null ? "M" : "L";
  }
  return path;
}

function drawn({ values, steps }: Points): { step: number; value: number | null }[] {
  const stride = Math.ceil(values.length / MAX_DRAWN);
  return values
    .map((value, index) => ({ step: steps[index] ?? index, value }))
    .filter((_, index) => index % stride === 0 || index === values.length - 1);
}

function scale(from: number, to: number, length: number): (value: number) => number {
  return (value) => (to === from ? length / 2 : ((value - from) * length) / (to - from));
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
