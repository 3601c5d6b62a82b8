import { describe, expect, it } from "vitest";

import {
  checkOf,
  colourOf,
  type Line,
  linesOf,
  merged,
  nextOf,
  outputCounts,
  rowsOf,
  searchedText,
  shownIn,
  toggledIn,
  unreadText,
} from "@/logs/model/merged";
import { pathsFrom, pathsText } from "@/run/model/paths";

function line(path: string, time: number, text = `${path} ${time}`): Line {
  const none = { service: null, match: null, marker: null };
  const place = { ...none, stream: "stdout", offset: time, attempt: 1 } as const;
  return { ...place, key: `${path} ${time}`, path, time, level: "info", text };
}
const times = (lines: readonly Line[]) => lines.map(({ time }) => time);

describe("paths in a URL", () => {
  it("are read as they were written, each once", () => {
    const paths = ["/a b/c", "/d,e", "/"];
    expect(pathsFrom(pathsText(paths))).toEqual(paths);
    expect(pathsFrom("/a//b//a")).toEqual(["/a", "/b"]);
    expect([pathsText([]), pathsFrom(null)]).toEqual([null, []]);
  });
});

describe("check boxes", () => {
  const root = "/g";
  const none = { nodes: [], hidden: [] };

  it("hide and show a node, and a node below a hidden one", () => {
    const hidden = toggledIn(none, root, "/g/a");
    expect(hidden).toEqual({ nodes: [], hidden: ["/g/a"] });
    expect(checkOf(hidden, root)).toBe("mixed");
    expect([checkOf(hidden, "/g/a/x"), checkOf(hidden, "/g/b")]).toEqual([false, true]);
    const one = toggledIn(hidden, root, "/g/a/x");
    expect(one).toEqual({ nodes: ["/g", "/g/a/x"], hidden: ["/g/a"] });
    expect([checkOf(one, "/g/a/x"), checkOf(one, "/g/a"), checkOf(one, "/g/b")]).toEqual([
      true,
      "mixed",
      true,
    ]);
    expect(toggledIn(one, root, "/g/a")).toEqual(none);
  });

  it("show nothing after the last selected node is hidden", () => {
    const shown = shownIn(new URLSearchParams({ nodes: "/g/a" }), root);
    expect([checkOf(shown, "/g/a"), checkOf(shown, "/g/b")]).toEqual([true, false]);
    const nothing = toggledIn(shown, root, "/g/a");
    expect(nothing).toEqual({ nodes: [], hidden: ["/g"] });
    expect(checkOf(nothing, "/g/b")).toBe(false);
    expect(toggledIn(nothing, root, root)).toEqual(none);
  });

  it("have the colours of prefixes, which differ between numbered siblings", () => {
    const colours = [1, 2, 3, 4, 5, 6].map((number) => colourOf(`/g/n${number}`));
    expect(new Set(colours).size).toBe(6);
  });
});

describe("merged lines", () => {
  const known = [line("/a", 5), line("/b", 6)];

  it("stay in the order of time, each once", () => {
    expect(times(merged(known, [line("/a", 7), line("/b", 6)]))).toEqual([5, 6, 7]);
    expect(times(merged(known, [line("/a", 1), line("/a", 2)]))).toEqual([1, 2, 5, 6]);
    expect(times(merged(known, [line("/late", 5.5), line("/a", 9)]))).toEqual([5, 5.5, 6, 9]);
    expect(merged(known, [line("/a", 5)])).toBe(known);
  });

  it("have the command that the page names", () => {
    const { key, path, attempt, ...rest } = line("/a", 3);
    const page = { nodes: [{ path, attempt }], lines: [{ ...rest, node: 0 }] };
    const nothing = { back: null, next: null, commands: 1, left: 0, unread: [] };
    expect(linesOf({ ...page, ...nothing })).toEqual([{ ...line("/a", 3), key: "/a 1 stdout 3" }]);
    expect(key).toBe("/a 3");
  });
});

describe("rows", () => {
  it("name a command only when it changes, and count repeats", () => {
    const lines = [
      line("/a", 1, "GET"),
      line("/a", 2, "GET"),
      line("/a", 3, "x"),
      line("/b", 4, "x"),
    ];
    expect(rowsOf(lines).map(({ count, named }) => [count, named])).toEqual([
      [2, true],
      [1, false],
      [1, true],
    ]);
  });

  it("leave out a group that has ended, unless it has an error or the user opens it", () => {
    const start = (text: string, time: number): Line => ({
      ...line("/a", time, text),
      marker: ["closed", text],
    });
    const end = (time: number): Line => ({ ...line("/a", time, "end"), marker: ["end", ""] });
    const lines = [
      start("install", 1),
      line("/b", 2, "other"),
      line("/a", 3, "one"),
      end(4),
      start("test", 5),
      { ...line("/a", 6, "failed"), level: "error" } as const,
      end(7),
      start("clean", 8),
      line("/a", 9, "still"),
    ];
    const texts = (rows: ReturnType<typeof rowsOf>) => rows.map(({ line: { text } }) => text);
    const rows = rowsOf(lines);
    expect(texts(rows)).toEqual(["install", "other", "test", "failed", "clean", "still"]);
    expect(rows[0]?.group).toEqual({ key: "/a 1", open: false, count: 1, until: 3, stays: false });
    const opened = rowsOf(
      lines,
      new Map([
        ["/a 1", true],
        ["/a 5", false],
      ]),
    );
    expect(texts(opened)).toEqual(["install", "other", "one", "test", "clean", "still"]);
  });

  it("follow each other in both directions, around the ends", () => {
    expect(nextOf([2, 5], null, 1)).toBe(2);
    expect(nextOf([2, 5], 2, 1)).toBe(5);
    expect(nextOf([2, 5], 5, 1)).toBe(2);
    expect(nextOf([2, 5], 2, -1)).toBe(5);
    expect(nextOf([], null, 1)).toBeNull();
  });
});

it("counts the lines and errors of commands and of the groups above them", () => {
  const lines = [
    line("/g/a", 1),
    { ...line("/g/a", 2), level: "error" as const },
    line("/g/b/c", 3),
    line("/g/b/c", 4),
  ];
  const found = outputCounts(lines, "/g", { searched: false, more: true });
  expect(Object.fromEntries(found)).toEqual({
    "/g": { text: "4+ lines", errors: 1 },
    "/g/a": { text: "2+ lines", errors: 1 },
    "/g/b": { text: "2+ lines", errors: 0 },
    "/g/b/c": { text: "2+ lines", errors: 0 },
  });
  const matches = outputCounts(lines.slice(0, 1), "/", { searched: true, more: false });
  expect(matches.get("/")).toEqual({ text: "1 match", errors: 0 });
});

it("counts searched and unread commands, with reasons", () => {
  expect(searchedText(2002, 128)).toBe("1,874 of 2,002 searched");
  const unread = [
    { count: 41, reason: "", again: true },
    { count: 87, reason: "on gpu-box, offline", again: false },
  ];
  expect(unreadText(unread, 3)).toBe("Not yet: 41, trying again in 3s; 87, on gpu-box, offline");
  expect(unreadText([], null)).toBeNull();
});
