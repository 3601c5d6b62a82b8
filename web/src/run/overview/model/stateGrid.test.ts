import { describe, expect, it } from "vitest";

import { cellAt, gridFor } from "@/run/overview/model/stateGrid";

describe("a state grid", () => {
  it("has larger cells for fewer commands", () => {
    for (const count of [1, 30, 1000, 10_000, 20_000]) {
      for (const width of [40, 320, 640, 1600]) {
        const field = gridFor(count, width, 168);
        expect(field.columns * field.rows).toBeGreaterThanOrEqual(count);
        expect(field.columns * field.size).toBeLessThanOrEqual(Math.max(width, field.size));
        expect(field.size).toBeGreaterThanOrEqual(3);
      }
    }
    expect(gridFor(30, 640, 168).size).toBeGreaterThan(gridFor(10_000, 640, 168).size);
    expect(gridFor(10_000, 640, 168).height).toBeLessThan(200);
  });

  it("finds the cell at a position, or none", () => {
    const field = gridFor(1000, 640, 168);
    const { columns, rows, size } = field;
    expect(cellAt(field, 0, 0)).toBe(0);
    expect(cellAt(field, size + 1, 0)).toBe(1);
    expect(cellAt(field, 1, size + 1)).toBe(columns);
    expect(cellAt(field, columns * size + 1, 0)).toBeNull();
    expect(cellAt(field, -1, 0)).toBeNull();
    expect(cellAt(field, (columns - 1) * size, (rows - 1) * size)).toBe(
      rows * columns === 1000 ? 999 : null,
    );
  });
});
