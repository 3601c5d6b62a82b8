import { describe, expect, it } from "vitest";

import type { LatestContinuation } from "@/api/schema";
import { continuationCounts, continuationReason } from "@/programs/model/continuation";

const PLAN: LatestContinuation = {
  time: 1,
  kept: 1200,
  runs: 1,
  skipped: 0,
  nodes: [],
  removed: 2,
};

describe("a continuation", () => {
  it("is summarised by its counts", () => {
    expect(continuationCounts(PLAN, true)).toBe("1,200 kept, 1 runs, 2 removed");
    expect(continuationCounts({ ...PLAN, runs: 2, skipped: 3 }, false)).toBe(
      "1,200 kept, 2 run, 3 skipped",
    );
  });

  it("names the reason of each command", () => {
    const of = (fate: "kept" | "runs" | "skipped", reason = "") =>
      continuationReason({ path: "/a", fate, reason });

    expect(of("kept")).toBe("kept: nothing that it depends on changed");
    expect(of("runs", "after /b, which changed")).toBe("runs: after /b, which changed");
    expect(of("skipped")).toBe("skipped");
    expect(of("skipped", "new")).toBe("skipped: new");
  });
});
