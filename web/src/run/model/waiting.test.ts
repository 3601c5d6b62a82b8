import { expect, test } from "vitest";

import type { NodeView } from "@/api/schema";
import { mostCommonReason } from "@/run/model/waiting";

function waiting(...reasons: (string | null)[]): NodeView[] {
  return reasons.map((one) => ({ waits_for: one }) as unknown as NodeView);
}

test("the most common reason is returned", () => {
  const nodes = waiting("for CPUs", "for memory", "for memory");

  expect(mostCommonReason(nodes)).toEqual({ text: "for memory", count: 2 });
});

test("skipped nodes and nodes without a reason are ignored", () => {
  expect(mostCommonReason(waiting("skipped", null, "skipped"))).toBeNull();
});
