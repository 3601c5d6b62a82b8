import { describe, expect, it } from "vitest";

import { linesAfterClick, linesFrom, linesText } from "@/logs/model/outputPlaces";

describe("lines in a URL", () => {
  it("are counted from 1, in either direction", () => {
    expect(linesFrom("12")).toEqual({ first: 11, last: 11 });
    expect(linesFrom("20-12")).toEqual({ first: 11, last: 19 });
    for (const wrong of [null, "", "0", "x", "3-", "1-2-3"]) expect(linesFrom(wrong)).toBeNull();
    expect([linesText({ first: 0, last: 0 }), linesText({ first: 1, last: 4 })]).toEqual([
      "1",
      "2-5",
    ]);
  });

  it("are a range after a click with Shift", () => {
    const linked = { first: 5, last: 5 };
    expect(linesAfterClick(null, 5, false)).toEqual(linked);
    expect(linesAfterClick(null, 5, true)).toEqual(linked);
    expect(linesAfterClick(linked, 9, true)).toEqual({ first: 5, last: 9 });
    expect(linesAfterClick({ first: 5, last: 9 }, 2, true)).toEqual({ first: 2, last: 9 });
    expect(linesAfterClick(linked, 5, false)).toBeNull();
  });
});
