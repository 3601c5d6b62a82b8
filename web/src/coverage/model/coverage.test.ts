import { expect, test } from "vitest";

import { difference, percentText, trend } from "@/coverage/model/coverage";

test("only complete coverage is 100", () => {
  expect(percentText({ covered: 1999, lines: 2000 })).toBe("99.9 %");
  expect(percentText({ covered: 5, lines: 5 })).toBe("100.0 %");
  expect(percentText({ covered: 0, lines: 0 })).toBe("100.0 %");
});

test("the difference has a sign", () => {
  const half = { covered: 1, lines: 2 };
  const quarter = { covered: 1, lines: 4 };
  expect(difference(half, quarter)).toBe("+25.0");
  expect(difference(quarter, half)).toBe("−25.0");
});

test("the trend goes from the least to the most coverage", () => {
  const history = [1, 3, 2].map((covered) => ({ covered, lines: 4 }));
  expect(trend(history, 100, 10)).toBe("0.0,10.0 50.0,0.0 100.0,5.0");
  expect(trend(history.slice(0, 1), 100, 10)).toBe("0.0,10.0");
});
