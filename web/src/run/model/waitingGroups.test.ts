import { expect, it } from "vitest";

import type { NodeView } from "@/api/schema";
import { newNode } from "@/run/model/node";
import { NO_COUNTS } from "@/run/model/states";
import { pendingGroups, queuedGroups } from "@/run/model/waitingGroups";

it("groups queued commands by reason, and does not guess the reason of the others", () => {
  const queued = (path: string, kind: NodeView["wait_kind"], reason: string) =>
    ({ path, wait_kind: kind, waits_for: reason }) as NodeView;
  const nodes = [
    queued("/report", "image", "image tools is building"),
    queued("/train/a", "turn", "max_concurrent=2 of /train is reached"),
    queued("/train/b", "turn", "max_concurrent=2 of /train is reached"),
  ];
  expect(queuedGroups(nodes, 20)).toMatchObject([
    { count: 2, text: "max_concurrent=2 of /train is reached", path: "/train" },
    { count: 1, text: "image tools is building", path: "/" },
    { count: 17, text: "more commands are queued", path: "/" },
  ]);
});

it("names what a pending part of a Serial follows", () => {
  const root = { ...newNode("/", "Serial"), state: "running" as const };
  const train = { ...newNode("/train", "Parallel"), state: "running" as const };
  train.counts = { ...NO_COUNTS, done: 2, running: 3 };
  const evaluate = { ...newNode("/evaluate", "Parallel"), counts: { ...NO_COUNTS, pending: 3 } };
  root.children.first = [train, evaluate, newNode("/report", "Exec")];
  expect(pendingGroups([root], 9)).toMatchObject([
    { count: 3, text: "evaluate: starts after train", detail: "3 commands in train left" },
    { count: 1, text: "report: starts after evaluate" },
  ]);
  expect(pendingGroups([{ ...root, state: "pending" }], 9)).toEqual([]);
});
