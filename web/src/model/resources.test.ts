import { describe, expect, it } from "vitest";

import { cores, outline, resourcesText, size, topOf } from "@/model/resources";

const GB = 2 ** 30;
const used = { cpu: [1.4, 2], memory: [5, 850_000_000], cpu_limit: 2, mem_limit: 2 * GB };

describe("what an attempt used", () => {
  it("is said in a sentence", () => {
    expect(resourcesText(used)).toBe("1.7 of 2 CPUs on average, 811 MB of 2 GB at its peak");
  });

  it("is said without limits where nobody knows them", () => {
    expect(resourcesText({ ...used, cpu_limit: null, mem_limit: null })).toBe(
      "1.7 CPUs on average, 811 MB at its peak",
    );
  });

  it("is one CPU where that is the limit", () => {
    expect(resourcesText({ ...used, cpu: [0.25], cpu_limit: 1 })).toContain("0.25 of 1 CPU on");
  });

  it("is nothing where nothing is known", () => {
    expect(resourcesText({ ...used, cpu: [], memory: [] })).toBeNull();
  });

  it("has sizes in the units of the limit", () => {
    expect([size(0), size(GB / 4), size(1.5 * GB)]).toEqual(["0 MB", "256 MB", "1.5 GB"]);
    expect([cores(0), cores(0.004), cores(11.96)]).toEqual(["0", "0.004", "12"]);
  });
});

describe("the chart", () => {
  it("is as high as the limit, or as what went beyond", () => {
    expect(topOf([0.5], 2)).toBe(2);
    expect(topOf([2.5], 2)).toBe(2.5);
    expect(topOf([], null)).toBe(1);
    expect(topOf([0], 0)).toBe(1);
  });

  it("is a step for each point", () => {
    expect(outline([1, 2], 2, 100, 40)).toBe("M0 40V20H50V0H100V40Z");
  });
});
