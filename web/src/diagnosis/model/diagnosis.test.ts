import { describe, expect, it } from "vitest";

import type { Diagnosis, FailureCause, PipelineChange } from "@/api/schema";
import { causeOf, countOf, isIn, suspectsOf } from "@/diagnosis/model/diagnosis";

const cause = (paths: string[], more: Partial<FailureCause> = {}) =>
  ({ paths, count: paths.length, flaky: false, is_new: false, ...more }) as FailureCause;
const change = (kind: string, more: Partial<PipelineChange>) =>
  ({ kind, name: "", names: [], causes: [], suspect: true, ...more }) as unknown as PipelineChange;
const found = {
  causes: [cause(["/a", "/b"], { is_new: true }), cause(["/c"], { flaky: true })],
  changes: [
    change("commit", { name: "9f03b1d012 Round totals", names: ["cart.py"], causes: [0] }),
    change("code", { name: "/c", names: ["the commit", "lib/x.py"], causes: [0, 1] }),
    change("secrets", { suspect: false }),
  ],
  failures: 3,
  newly_failing: 2,
  still_failing: 1,
  flaky: 1,
} as unknown as Diagnosis;

describe("a diagnosis", () => {
  it("finds the cause of a reason by its nodes", () => {
    expect(causeOf(found, ["/x", "/b"])?.paths).toEqual(["/a", "/b"]);
    expect(causeOf(found, ["/x"])).toBeUndefined();
    expect(causeOf(undefined, ["/a"])).toBeUndefined();
  });
  it("filters reasons by segment", () => {
    const [first, second] = found.causes;
    expect([isIn("all", first), isIn("new", first), isIn("still", first)]).toEqual([
      true,
      true,
      false,
    ]);
    expect([isIn("new", second), isIn("flaky", second), isIn("flaky", undefined)]).toEqual([
      false,
      true,
      true,
    ]);
    expect(countOf(found, "still")).toBe(1);
  });
  it("names suspects with their failures", () => {
    expect(suspectsOf(found)).toEqual([
      { text: "commit 9f03b1d012", count: 2 },
      { text: "files lib/x.py", count: 3 },
    ]);
  });
});
