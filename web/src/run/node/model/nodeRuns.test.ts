import { describe, expect, it } from "vitest";

import type { HistoryOfNode, RunOfNode } from "@/api/schema";
import { changedText, factorText, failuresOf, headline } from "@/run/node/model/nodeRuns";
import { isLong } from "@/run/model/usual";

function run(fields: Partial<RunOfNode> = {}): RunOfNode {
  return {
    pipeline: "abc-def",
    created: 0,
    state: "done",
    cause: null,
    exit_code: 0,
    started: 0,
    seconds: 1,
    attempts: 1,
    peak_memory: null,
    from_cache: null,
    commit: null,
    changed: [],
    comparable: true,
    ...fields,
  };
}

function history(fields: Partial<HistoryOfNode>): HistoryOfNode {
  const none = { usual: null, slow: null, since: null, before: null };
  return { path: "/a", type: "Exec", runs: [], complete: true, ...none, ...fields };
}

describe("the history of a node", () => {
  it("names the usual time", () => {
    expect(headline(history({ usual: 1.2 }), 4.8)).toBe("Usually 1.2s, now 4.8s");
    expect(headline(history({ usual: 1.2 }), null)).toBe("Usually 1.2s");
    expect(headline(history({}), 4.8)).toBe("4.8s, the first run");
    expect(headline(history({}), null)).toBe("No run that passed yet");
  });

  it("marks a run beyond nearly all others, or of twice the usual time", () => {
    expect(isLong(1.9, history({ usual: 1 }))).toBe(false);
    expect(isLong(2.1, history({ usual: 1 }))).toBe(true);
    expect(isLong(2.1, history({ usual: 1, slow: 3 }))).toBe(false);
    expect(isLong(3.1, history({ usual: 1, slow: 3 }))).toBe(true);
    expect(isLong(null, history({ usual: 1 }))).toBe(false);
    expect(factorText(4.8, history({ usual: 1.2 }))).toBe("4× the usual");
    expect(factorText(1.3, history({ usual: 1.2 }))).toBe("");
  });

  it("counts failures, and those in a row", () => {
    const failed = run({ state: "error" });
    const cached = run({ from_cache: "xyz-abc" });
    expect(failuresOf([failed, cached, failed, run(), failed])).toEqual({
      failed: 3,
      of: 4,
      row: 2,
    });
    expect(failuresOf([run({ state: "running" }), run()])).toEqual({ failed: 0, of: 1, row: 0 });
  });

  it.each([
    [run({ from_cache: "xyz-abc" }), "from cache xyz-abc"],
    [run(), "nothing"],
    [run({ comparable: false }), null],
    [run({ changed: [{ field: "image", names: [], count: 0 }] }), "image"],
    [
      run({ changed: [{ field: "environment", names: ["A", "B", "C", "D"], count: 4 }] }),
      "environment: A, B, C, …",
    ],
    [run({ commit: "0123456789" }), "commit 01234567"],
  ])("names what changed before a run (%#)", (now, text) => {
    expect(changedText(now, run())).toBe(text);
  });
});
