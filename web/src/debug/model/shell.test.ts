import { describe, expect, test } from "vitest";

import { frames, stateText, titleText, withoutEscapes } from "@/debug/model/shell";

test.each([
  [false, null, "Shell"],
  [false, 2, "Shell in the environment of attempt 2"],
  [true, 2, "Shell with the files of attempt 2"],
])("the title describes the shell", (snapshot, attempt, words) => {
  const ticket = { ticket: "x", seconds: 30, notes: [], attempt };
  expect(titleText(snapshot, ticket)).toBe(words);
  expect(titleText(snapshot, null)).toBe("Shell");
});

describe("the state is described", () => {
  test.each([
    [{ kind: "opening" } as const, "Connecting…"],
    [
      { kind: "ended", end: { code: 3, reason: null } } as const,
      "Shell ended with exit code 3. Its container was removed.",
    ],
    [
      { kind: "ended", end: { code: null, reason: "the limit of 8 hours was reached" } },
      "Shell ended: the limit of 8 hours was reached.",
    ] as const,
    [
      { kind: "ended", end: null } as const,
      "Connection lost. The shell and its container were removed.",
    ],
    [{ kind: "refused", message: "no engine" } as const, "Could not open the shell: no engine"],
  ])("%j", (state, words) => {
    expect(stateText(state)).toBe(words);
  });
});

test("typed text is split into frames", () => {
  const data = Uint8Array.from({ length: 10 }, (_, at) => at);
  const pieces = frames(data, 4);
  expect(pieces.map((one) => one.length)).toEqual([4, 4, 2]);
  expect(pieces.flatMap((one) => [...one])).toEqual([...data]);
});

test("pasted text cannot end the paste or control the terminal", () => {
  expect(withoutEscapes("ls\x1b[201~;\x07 rm\x9b x\tä\r\n")).toBe("ls[201~; rm x\tä\r\n");
});
