import { expect, test } from "vitest";

import type { NodeView } from "@/api/schema";
import { mainReason, phaseOf } from "@/model/waiting";

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

test("the sentences of the agent and of the cloud tell the kind of a wait", () => {
  expect(["image tools is building", "the image 'tools' is queued"].map(phaseOf)).toEqual([
    "image",
    "image",
  ]);
  expect(["its container starts", "a worker is starting"].map(phaseOf)).toEqual(["start", "start"]);
  expect(phaseOf("max_concurrent=1 of /images is reached")).toBe("turn");
  expect(phaseOf("next in the queue")).toBe("turn");
});
