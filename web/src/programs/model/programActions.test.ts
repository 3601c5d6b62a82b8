import { expect, test } from "vitest";

import type { AuditEntry, PipelineSummary } from "@/api/schema";
import { MAX_ACTIONS, programActions } from "@/programs/model/programActions";

function launched(id: string, created: number, more: object = {}): PipelineSummary {
  const pipeline = { id, created, owner: "ada", git: null, parent: null, ...more };
  return { pipeline } as unknown as PipelineSummary;
}

function entry(subject: string, time: number, more: Partial<AuditEntry> = {}): AuditEntry {
  const fixed = { operation: "control", request: `r${time}`, scopes: [], status: 200, token: "" };
  return { ...fixed, client: "", paths: [], user: "grace", subject, time, ...more };
}

test("launches and requests are one list, the newest first", () => {
  const found = programActions(
    [launched("b", 20, { git: { trigger: "main" } }), launched("a", 10)],
    [
      entry("a", 15, { client: "Claude Code", paths: ["/t"] }),
      entry("other", 16),
      entry("b", 20, { operation: "launch_pipeline" }),
    ],
  );
  expect(
    found.map(({ who, assistant, what, pipeline }) => [who, assistant, what, pipeline]),
  ).toEqual([
    ["trigger main", null, "launched", "b"],
    ["grace", "Claude Code", "control /t of", "a"],
    ["ada", null, "launched", "a"],
  ]);
});

test("only the newest are shown", () => {
  const many = Array.from({ length: 30 }, (_, at) => launched(`p${at}`, at));
  expect(programActions(many, []).map(({ pipeline }) => pipeline)).toEqual(
    Array.from({ length: MAX_ACTIONS }, (_, at) => `p${29 - at}`),
  );
});
