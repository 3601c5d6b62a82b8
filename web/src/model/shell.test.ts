import { describe, expect, test } from "vitest";

import { frames, Meter, stateWords, titleWords, withoutEscapes } from "@/model/shell";

describe("what was taken in", () => {
  test("is told every now and then, in all", () => {
    const meter = new Meter();
    expect(meter.add(1000)).toBeNull();
    expect(meter.add(32 << 10)).toBe(1000 + (32 << 10));
    expect(meter.add(1)).toBeNull();
  });
});

test.each([
  [false, null, "Shell"],
  [false, 2, "Shell like attempt 2"],
  [true, 2, "Shell after attempt 2"],
])("the title says what the shell is like", (snapshot, attempt, words) => {
  const ticket = { ticket: "x", seconds: 30, notes: [], attempt };
  expect(titleWords(snapshot, ticket)).toBe(words);
  expect(titleWords(snapshot, null)).toBe("Shell");
});

describe("how a shell ended", () => {
  test.each([
    [{ kind: "opening" } as const, "Opening…"],
    [
      { kind: "ended", end: { code: 3, reason: null } } as const,
      "The shell has ended with exit code 3; its container is gone.",
    ],
    [
      { kind: "ended", end: { code: null, reason: "it was open for 8 hours, the most it may" } },
      "The shell has ended: it was open for 8 hours, the most it may.",
    ] as const,
    [
      { kind: "ended", end: null } as const,
      "The connection broke off; the shell and its container are gone.",
    ],
    [{ kind: "refused", message: "no engine" } as const, "It does not open: no engine"],
  ])("%j", (state, words) => {
    expect(stateWords(state)).toBe(words);
  });
});

test("what is typed comes in pieces that fit into a frame", () => {
  const data = Uint8Array.from({ length: 10 }, (_, at) => at);
  const pieces = frames(data, 4);
  expect(pieces.map((one) => one.length)).toEqual([4, 4, 2]);
  expect(pieces.flatMap((one) => [...one])).toEqual([...data]);
});

test("nothing that is pasted ends the paste or speaks to the terminal", () => {
  expect(withoutEscapes("ls\x1b[201~;\x07 rm\x9b x\tä\r\n")).toBe("ls[201~; rm x\tä\r\n");
});
