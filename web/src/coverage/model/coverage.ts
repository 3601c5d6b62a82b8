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

/** The difference from the base in points, such as "+0.4". */
export function difference(now: Lines, base: Lines): string {
  const points = percent(now) - percent(base);
  return `${points < 0 ? "−" : "+"}${Math.abs(points).toFixed(1)}`;
}
