import { describe, expect, it } from "vitest";

import {
  MAX_INPUT,
  MAX_UNACKED,
  RelayedInput,
  type RelayedMessage,
  RelayedOutput,
} from "@/debug/model/relayedShell";

function opened(): { input: RelayedInput; sent: RelayedMessage[] } {
  const sent: RelayedMessage[] = [];
  return { input: new RelayedInput((message) => sent.push(message)), sent };
}

function typed(message: RelayedMessage | undefined): string {
  return atob(message?.b64 ?? "");
}

describe("RelayedInput", () => {
  it("waits for the shell, numbers messages and joins input while four are under way", () => {
    const { input, sent } = opened();
    const type = (text: string) => input.type(new TextEncoder().encode(text));
    type("a");
    input.note({ lines: 3, columns: 4 });
    expect(sent).toEqual([]);
    input.start();
    for (const key of "bcdefg") type(key);
    expect(sent.map(typed)).toEqual(["a", "b", "c", "d"]);
    expect(sent[0]?.note).toEqual({ lines: 3, columns: 4 });
    input.note({ taken: 7 });
    input.acknowledge();
    expect(sent[4]).toEqual({ terminal: "input", seq: 5, b64: btoa("efg"), note: { taken: 7 } });
    expect(sent.map((message) => message.seq)).toEqual([1, 2, 3, 4, 5]);
  });

  it("splits a paste, and sends the rest as it is acknowledged", () => {
    const { input, sent } = opened();
    input.start();
    input.type(new Uint8Array(MAX_INPUT * 6 + 1));
    expect(sent).toHaveLength(MAX_UNACKED);
    for (let count = 0; count < 3; count += 1) input.acknowledge();
    expect(sent.map((message) => typed(message).length)).toEqual([
      ...Array.from({ length: 6 }, () => MAX_INPUT),
      1,
    ]);
  });

  it("keeps an idle connection open", () => {
    const { input, sent } = opened();
    input.keepAlive();
    input.start();
    input.keepAlive();
    input.keepAlive();
    expect(sent).toEqual([{ terminal: "input", seq: 1 }]);
  });
});

describe("RelayedOutput", () => {
  it("ignores output that it has", () => {
    const output = new RelayedOutput();
    expect([0, 1, 1, 0, 2].map((seq) => output.isNew(seq))).toEqual([
      true,
      true,
      false,
      false,
      true,
    ]);
  });
});
