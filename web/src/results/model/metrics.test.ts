import { describe, expect, it } from "vitest";

import { metricLine, metricText } from "@/results/model/metrics";

function series(values: (number | null)[], steps?: number[], count = values.length) {
  return { name: "loss", values, steps: steps ?? values.map((_, n) => n), times: [], count };
}

describe("a metric", () => {
  it("is summarised with its last value, range and number of points", () => {
    expect(metricText(series([1.5, 0.1234567, 0.25], undefined, 20_000))).toBe(
      "0.25, from 0.12346 to 1.5, 20,000 points, 3 kept",
    );
    expect(metricText(series([3]))).toBe("3, 1 point");
    expect(metricText(series([3, null]))).toBe("null, 2 points");
  });

  it("is a line over its steps", () => {
    expect(metricLine(series([0, 10, 5], [0, 10, 20]), 100, 50)).toBe("M0 50L50 0L100 25");
  });

  it("has a gap where a value is not finite", () => {
    expect(metricLine(series([0, null, 10]), 100, 50)).toBe("M0 50M100 0");
  });

  it("is drawn in the middle if it does not change", () => {
    expect(metricLine(series([2]), 100, 50)).toBe("M50 25");
  });

  it("is drawn with a limited number of points, the last one included", () => {
    const path = metricLine(series(Array.from({ length: 10_000 }, (_, n) => n)), 100, 50);
    expect(path.split("L").length).toBeLessThanOrEqual(402);
    expect(path.endsWith("L100 0")).toBe(true);
  });
});
