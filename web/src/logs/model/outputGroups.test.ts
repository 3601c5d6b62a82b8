import { describe, expect, it } from "vitest";

import {
  groupAround,
  groupsOf,
  type Marker,
  opensItself,
  type OutputGroup,
  rowsOf,
} from "@/logs/model/outputGroups";

const marker = (place: number, kind: Marker["kind"], title = ""): Marker => ({
  key: String(place),
  place,
  kind,
  title,
});
/** Lines 0 … 11: a group 1-4 that 4 ends, two sections from 6 and 9, of which 8 opens the first. */
const FOLDING = groupsOf(
  [
    marker(9, "closed", "last"),
    marker(1, "closed", "install"),
    marker(4, "end"),
    marker(6, "closed", "test"),
    marker(8, "expand"),
  ],
  12,
);
const shown = (isOpen: (group: OutputGroup) => boolean, base = 0) => {
  const rows = rowsOf(12, base, FOLDING, isOpen);
  return Array.from({ length: rows.count }, (_, row) => rows.placeAt(row));
};

describe("groups", () => {
  it("end at their marker or at the next group", () => {
    expect(FOLDING.groups.map(({ title, start, end, open }) => [title, start, end, open])).toEqual([
      ["install", 1, 4, false],
      ["test", 6, 9, true],
      ["last", 9, 12, false],
    ]);
  });

  it("hide their lines when they are closed, and their end always", () => {
    expect(shown(() => false)).toEqual([0, 1, 5, 6, 9]);
    expect(shown(() => true)).toEqual([0, 1, 2, 3, 5, 6, 7, 9, 10, 11]);
    expect(shown(({ title }) => title === "last", 5)).toEqual([5, 6, 9, 10, 11]);
  });

  it("map every shown line to its row and back", () => {
    const rows = rowsOf(12, 0, FOLDING, ({ open }) => open);
    for (let row = 0; row < rows.count; row += 1) expect(rows.rowOf(rows.placeAt(row))).toBe(row);
    expect(rows.rowOf(11)).toBe(rows.rowOf(9)); // hidden: the row of its group
  });

  it("are open if they are the last, or contain the first error or a linked line", () => {
    const { groups } = FOLDING;
    const open = (...places: (number | null)[]) =>
      groups.filter((group) => opensItself(group, groups, places)).map(({ title }) => title);
    expect(open(null)).toEqual(["test", "last"]);
    expect(open(3)).toEqual(["install", "test", "last"]);
    expect(open(1)).toEqual(["test", "last"]);
    expect(groupAround(groups, 2)?.title).toBe("install");
    expect(groupAround(groups, 5)).toBeNull();
  });

  it("are not folded if there are too many", () => {
    const many = Array.from({ length: 5001 }, (_, place) => marker(place, "closed"));
    expect(groupsOf(many, 6000).groups).toEqual([]);
  });
});
