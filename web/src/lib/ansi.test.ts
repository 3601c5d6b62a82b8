import { describe, expect, it } from "vitest";

import { parseLine, PLAIN, plainText, styleAfter } from "@/lib/ansi";

const texts = (line: string) => parseLine(line, PLAIN).spans.map((span) => span.text);

describe("parseLine", () => {
  it("splits a line where its style changes", () => {
    const { spans, style } = parseLine("a\x1b[1;31mb\x1b[0mc", PLAIN);
    expect(spans).toEqual([
      { text: "a", style: PLAIN },
      { text: "b", style: { ...PLAIN, bold: true, fg: 1 } },
      { text: "c", style: PLAIN },
    ]);
    expect(style).toEqual(PLAIN);
  });

  it("carries the style over to the next line", () => {
    expect(styleAfter("\x1b[92mgreen from here", PLAIN)).toEqual({ ...PLAIN, fg: 10 });
    expect(parseLine("still", { ...PLAIN, fg: 10 }).spans[0]?.style.fg).toBe(10);
  });

  it("supports text that is struck through", () => {
    const { spans } = parseLine("a\x1b[9mb\x1b[29mc", PLAIN);
    expect(spans.map((span) => span.style.strike)).toEqual([false, true, false]);
  });

  it("supports 256 colours and true colours", () => {
    expect(styleAfter("\x1b[38;5;196m", PLAIN).fg).toBe("rgb(255 0 0)");
    expect(styleAfter("\x1b[48;2;1;2;999m", PLAIN).bg).toBe("rgb(1 2 255)");
    expect(styleAfter("\x1b[38;5;244m", PLAIN).fg).toBe("rgb(128 128 128)");
  });

  it("clamps colour components to numbers", () => {
    expect(styleAfter("\x1b[38;2;<;1;2m", PLAIN).fg).toBe("rgb(0 1 2)");
    expect(styleAfter("\x1b[38;5;9999m", PLAIN)).toEqual(PLAIN);
  });

  it("drops cursor movements, window titles and bells", () => {
    expect(texts("\x1b[2K\x1b[1Aup\x07\x1b]0;title\x07!\x1b(B")).toEqual(["up", "!"]);
    expect(plainText("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\")).toBe("link");
  });

  it("keeps the last version of an overwritten line", () => {
    expect(texts("10%\r50%\r100%")).toEqual(["100%"]);
    expect(texts("windows\r")).toEqual(["windows"]);
  });
});
