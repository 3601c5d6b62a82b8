import { expect, test } from "vitest";

import { MINIMAP_STATES, minimapOf } from "@/run/tree/model/minimap";
import { newNode } from "@/run/model/node";
import type { Row } from "@/run/tree/model/rows";

type State = Parameters<typeof exec>[1];

function exec(place: number, state: ReturnType<typeof newNode>["state"]): Row {
  const node = { ...newNode(`/${place}`, "Exec"), state };
  return { kind: "node", key: node.path, node, open: null, level: 1, top: node.path };
}

function shown(rows: readonly Row[], height: number): string[] {
  return Array.from(minimapOf(rows, height), (rank) => MINIMAP_STATES[rank] ?? "none");
}

const rowsOf = (...states: State[]) => states.map((state, place) => exec(place, state));

test("few rows share the height", () => {
  expect(shown(rowsOf("done", "running"), 4)).toEqual(["done", "done", "running", "running"]);
});

test("a pixel of many rows shows the state that needs most attention", () => {
  const rows = rowsOf("done", "done", "error", "done", "running", "done", "pending", "pending");

  expect(shown(rows, 4)).toEqual(["done", "error", "error", "pending"]);
});

test("one failure among 100,000 rows is visible, and open groups have no colour", () => {
  const rows = Array.from({ length: 100_000 }, (_, place) => exec(place, "done"));
  rows[50_000] = exec(50_000, "killed");

  expect(shown(rows, 100).filter((state) => state === "killed")).toHaveLength(2);
  const group = { ...newNode("/", "Serial"), state: "error" } as const;
  const open: Row = { kind: "node", key: "/", node: group, open: true, level: 0, top: "/" };
  expect(shown([open, exec(1, "done")], 2)).toEqual(["none", "done"]);
  expect(shown([], 2)).toEqual(["none", "none"]);
});
