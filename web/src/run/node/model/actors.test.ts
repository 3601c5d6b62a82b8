import { expect, test } from "vitest";

import type { AttemptRecord, AuditEntry } from "@/api/schema";
import { actorsOf } from "@/run/node/model/actors";

function attempt(number: number, started: number, more: Partial<AttemptRecord> = {}) {
  return { path: "/g/a", number, queued: null, started, ended: started + 5, ...more };
}

function entry(time: number, more: Partial<AuditEntry> = {}) {
  const fixed = { subject: "abc-def", operation: "control", scopes: [], client: "", paths: ["/g"] };
  return { ...fixed, user: "ana", time, ...more };
}

const attempts = [attempt(1, 10), attempt(2, 30), attempt(3, 50)] as AttemptRecord[];
const actors = (...entries: object[]) => [
  ...actorsOf(attempts, entries as AuditEntry[], "abc-def"),
];

test("an attempt is that of the newest request since the attempt before it", () => {
  expect(actors(entry(25, { client: "Claude" }), entry(22), entry(49))).toEqual([
    [2, { user: "ana", assistant: "Claude" }],
    [3, { user: "ana", assistant: null }],
  ]);
  expect(actors(entry(48, { scopes: ["control"], paths: [] }))).toEqual([
    [3, { user: "ana", assistant: "an assistant" }],
  ]);
});

test("other pipelines, operations and nodes are not its actors, and a retry has none", () => {
  const others = [{ subject: "xyz" }, { operation: "get_log" }, { paths: ["/gg"] }];
  expect(actors(entry(9), ...others.map((more) => entry(25, more)))).toEqual([]);
});
