/** Texts about coverage. */

interface Lines {
  covered: number;
  lines: number;
}

/** A percentage, rounded down: only complete coverage is 100. */
function percent({ covered, lines }: Lines): number {
  return lines === 0 ? 100 : Math.floor((covered * 1000) / lines) / 10;
}

export function percentText(coverage: Lines): string {
  return `${percent(coverage).toFixed(1)} %`;
}

/** The points of a line through percentages, in a box of `width` and `height`. */
export function trend(history: readonly Lines[], width: number, height: number): string {
  const values = history.map(percent);
  const least = Math.min(...values);
  const range = Math.max(...values) - least || 1;
  const step = width / Math.max(1, values.length - 1);
  const y = (value: number) => height - ((value - least) / range) * height;
  return values.map((value, n) => `${(n * step).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
}

/** The difference from the base in points, such as "+0.4". */
export function difference(now: Lines, base: Lines): string {
  const points = percent(now) - percent(base);
  return `${points < 0 ? "−" : "+"}${Math.abs(points).toFixed(1)}`;
}
