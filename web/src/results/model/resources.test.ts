import { describe, expect, it } from "vitest";

import { chartMax, cores, outline, resourcesText, size } from "@/results/model/resources";

const GB = 2 ** 30;
const used = { cpu: [1.4, 2], memory: [5, 850_000_000], cpu_limit: 2, mem_limit: 2 * GB };

describe("resource use", () => {
  it("is summarised with limits", () => {
    expect(resourcesText(used)).toBe("1.7 of 2 CPUs on average, 811 MB of 2 GB at peak");
  });

  it("is summarised without limits", () => {
    expect(resourcesText({ ...used, cpu_limit: null, mem_limit: null })).toBe(
      "1.7 CPUs on average, 811 MB at peak",
    );
  });

  it("uses the singular for one CPU", () => {
    expect(resourcesText({ ...used, cpu: [0.25], cpu_limit: 1 })).toContain("0.25 of 1 CPU on");
  });

  it("is null without samples", () => {
    expect(resourcesText({ ...used, cpu: [], memory: [] })).toBeNull();
  });

  it("uses the units of the limit", () => {
    expect([size(0), size(GB / 4), size(1.5 * GB)]).toEqual(["0 MB", "256 MB", "1.5 GB"]);
    expect([cores(0), cores(0.004), cores(11.96)]).toEqual(["0", "0.004", "12"]);
  });
});

describe("the chart", () => {
  it("extends to the limit, or to the peak if higher", () => {
    expect(chartMax([0.5], 2)).toBe(2);
    expect(chartMax([2.5], 2)).toBe(2.5);
    expect(chartMax([], null)).toBe(1);
    expect(chartMax([0], 0)).toBe(1);
  });

  it("has a step per sample", () => {
    expect(outline([1, 2], 2, 100, 40)).toBe("M0 40V20H50V0H100V40Z");
  });
});
