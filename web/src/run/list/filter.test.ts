import { expect, it } from "vitest";

import type { PipelineSummary } from "@/api/schema";
import { ownersOf } from "@/run/list/filter";

const of = (owner: string) => ({ pipeline: { owner } }) as PipelineSummary;

it("suggests all members as owners, and earlier members with pipelines", () => {
  const loaded = [of("grace"), of("grace"), of("left"), of("")];
  expect(ownersOf(loaded, [{ user: "ada" }, { user: "grace" }])).toEqual(["ada", "grace", "left"]);
});
