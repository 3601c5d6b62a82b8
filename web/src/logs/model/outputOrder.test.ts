import { describe, expect, it } from "vitest";

import { lineAt, orderOf, placesOf, timeOf } from "@/logs/model/outputOrder";

const stdout = { total: 5, times: [[0, 1], [2, 3], [4, 5]] as const }; // prettier-ignore
const stderr = { total: 3, times: [[0, 2], [2, 5]] as const }; // prettier-ignore

describe("the order of two streams", () => {
  it("is by time, with stdout first at the same time", () => {
    const order = orderOf(stdout, stderr);
    const lines = Array.from({ length: 9 }, (_, place) => lineAt(order, place));
    expect(lines.map((one) => one && `${one.stream} ${one.line}`)).toEqual([
      "stdout 0",
      "stdout 1",
      "stderr 0",
      "stderr 1",
      "stdout 2",
      "stdout 3",
      "stdout 4",
      "stderr 2",
      null,
    ]);
    const place = placesOf(order, "stderr");
    expect([0, 1, 2, 3].map(place)).toEqual([2, 3, 7, null]);
  });

  it("joins the bursts of one stream", () => {
    const silent = { total: 0, times: [] };
    expect(orderOf(stdout, silent)).toEqual([{ at: 0, stream: "stdout", first: 0, count: 5 }]);
    expect(orderOf(silent, { total: 2, times: [] })).toMatchObject([
      { stream: "stderr", count: 2 },
    ]);
    expect(orderOf(silent, silent)).toEqual([]);
  });

  it("keeps the lines of a stream in order when the clock is set back", () => {
    const order = orderOf({ total: 2, times: [[0, 9], [1, 1]] }, { total: 1, times: [[0, 5]] }); // prettier-ignore
    expect(order.map(({ stream, first, count }) => [stream, first, count])).toEqual([
      ["stderr", 0, 1],
      ["stdout", 0, 2],
    ]);
  });
});

describe("the time of a line", () => {
  it("is that of the last record up to it", () => {
    expect([0, 1, 2, 9].map((line) => timeOf(stdout.times, line))).toEqual([1, 1, 3, 5]);
    expect(timeOf([[3, 1]], 0)).toBeNull();
  });
});
