import { describe, expect, it } from "vitest";

import {
  type Line,
  linesOf,
  merged,
  nextOf,
  pathsFrom,
  pathsText,
  rowsOf,
  searchedText,
  unreadText,
} from "@/logs/model/merged";

function line(path: string, time: number, text = `${path} ${time}`): Line {
  const place = { stream: "stdout", offset: time, attempt: 1, match: null } as const;
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

  it("follow each other in both directions, around the ends", () => {
    expect(nextOf([2, 5], null, 1)).toBe(2);
    expect(nextOf([2, 5], 2, 1)).toBe(5);
    expect(nextOf([2, 5], 5, 1)).toBe(2);
    expect(nextOf([2, 5], 2, -1)).toBe(5);
    expect(nextOf([], null, 1)).toBeNull();
  });
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
