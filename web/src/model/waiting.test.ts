import { expect, test } from "vitest";

import type { NodeView } from "@/api/schema";
import { mainReason } from "@/model/waiting";

function waiting(...reasons: (string | null)[]): NodeView[] {
  return reasons.map((one) => ({ waits_for: one }) as unknown as NodeView);
}

test("the reason that most give is told", () => {
  const nodes = waiting("for CPUs", "for memory", "for memory");

  expect(mainReason(nodes)).toEqual({ text: "for memory", count: 2 });
});

test("being skipped, and no reason at all, are no news", () => {
  expect(mainReason(waiting("skipped", null, "skipped"))).toBeNull();
});
