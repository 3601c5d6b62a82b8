import { describe, expect, test } from "vitest";

import golden from "../../../../tests/golden/terminal.json";

import type { InputMessage } from "@/debug/model/terminal";
import * as terminal from "@/debug/model/terminal";

/** The beginning of the input, and the length of all of it. */
function shortened(message: InputMessage): unknown {
  const b64 = message.b64 ?? "";
  return { ...message, b64: [b64.slice(0, 8), b64.length] };
}

test("the limits are those of the server", () => {
  for (const [name, value] of Object.entries(golden.limits)) {
    expect(terminal[name as keyof typeof golden.limits], name).toBe(value);
  }
});

test("the messages of each step are those of the command line", () => {
  const sent: InputMessage[] = [];
  const input = new terminal.TerminalInput((message) => sent.push(message));
  const steps: Record<string, (value: unknown) => void> = {
    type: (value) => {
      const [text, count] = value as [string, number];
      input.type(new TextEncoder().encode(text.repeat(count)));
    },
    note: (value) => input.note(value as object),
    start: () => input.start(),
    acknowledge: () => input.acknowledge(),
    keep_alive: () => input.keepAlive(),
  };
  for (const { step, value, messages } of golden.input) {
    steps[step]?.(value);
    expect(sent.splice(0).map(shortened), step).toEqual(messages);
  }
});

describe("received output", () => {
  test("is acknowledged, and ignored if it arrives again", () => {
    const output = new terminal.TerminalOutput();
    for (const { frame, isNew, taken } of golden.output) {
      expect(output.isNew(frame.seq)).toBe(isNew);
      if (isNew) expect(output.add(terminal.ACKNOWLEDGE_BYTES / 2)).toBe(taken);
    }
  });
});
