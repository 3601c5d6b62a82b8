import { expect, it } from "vitest";

import type { NodeType } from "@/api/schema";
import { bottleneck, criticalPath } from "@/run/timeline/model/criticalPath";
import type { Bar } from "@/run/timeline/model/lanes";
import { movedBars, placed, roundsOf } from "@/run/timeline/model/rounds";

function bar(path: string, queued: number, started: number, ended: number | null, more = {}): Bar {
  return {
    path,
    number: 1,
    state: ended === null ? "running" : "done",
    queued,
    imageReady: null,
    admitted: null,
    waitsFor: null,
    started,
    ended,
    container: null,
    exitCode: 0,
    ...more,
  };
}

function round(started: number, ended: number | null, continues = false) {
  return { started, ended, continues };
}

const NIGHT = 40_000;
const again = { number: 2 };
const bars = [
  bar("/prepare", 0, 1, 10),
  bar("/tests/a", 10, 10, 20),
  bar("/tests/b", 10, 15, 40, { admitted: 15, imageReady: 10, state: "error" }),
  bar("/tests/b", NIGHT, NIGHT + 1, NIGHT + 5, again),
  bar("/publish", NIGHT + 5, NIGHT + 6, NIGHT + 8),
];
const times = [round(1, 40), round(NIGHT + 1, NIGHT + 8)];
const types = new Map<string, NodeType>([
  ["/", "Serial"],
  ["/tests", "Parallel"],
]);
const paths = (found: readonly Bar[]) => found.map((one) => `${one.path} ${one.number}`);

it("attempts are assigned to the rounds of the server", () => {
  const rounds = roundsOf(bars, times, 99_999);
  expect(rounds.map(({ label, from, to, failed }) => [label, from, to, failed])).toEqual([
    ["Run 1", 0, 40, 1],
    ["Rerun 2", NIGHT, NIGHT + 8, 0],
  ]);
  expect(rounds[1]?.bars.map(({ path }) => path)).toEqual(["/tests/b", "/publish"]);
});

it("a round that continues a paused pipeline is called a run", () => {
  const rest = [bar("/a", 0, 0, 1), bar("/b", 50, 50, 51)];
  const rounds = roundsOf(rest, [round(0, 1), round(50, null)], 60);
  expect(rounds.map(({ label, ended }) => [label, ended])).toEqual([
    ["Run 1", true],
    ["Run 2", false],
  ]);
  expect(roundsOf(rest, [], 60)).toHaveLength(1);
});

it("idle time between rounds is folded", () => {
  const rounds = placed(roundsOf(bars, times, 99_999));
  expect(rounds.map(({ from, to }) => Math.round(to - from))).toEqual([40, 8]);
  expect(rounds[1]?.idle).toBe(NIGHT - 40);
  const moved = movedBars(rounds);
  const last = moved.at(-1);
  expect(last?.ended).toBeLessThan(60);
  expect((last?.ended ?? 0) - (last?.started ?? 0)).toBe(2);
});

it("the critical path of each round follows the Serial, with waits apart", () => {
  const [first, second] = roundsOf(bars, times, 99_999);
  const one = criticalPath(first?.bars ?? [], types, 99_999);
  expect(paths(one.bars)).toEqual(["/prepare 1", "/tests/b 1"]);
  expect([one.seconds, one.running, one.waiting]).toEqual([40, 34, 6]);
  const other = criticalPath(second?.bars ?? [], types, 99_999);
  expect(paths(other.bars)).toEqual(["/tests/b 2", "/publish 1"]);
  expect(other.seconds).toBe(8);
});

it("the bottleneck is named in a sentence", () => {
  const path = criticalPath(bars.slice(0, 3), types, 50);
  expect(bottleneck(path, "Run 1", new Map([["/tests/b", { usual: 5, slow: null }]]))).toEqual({
    path: "/tests/b",
    name: "tests/b",
    share: "63% of the path, 5.0 times its median",
    hint: "Without the wait for a slot, Run 1 would have ended 5.0s earlier.",
  });
  const waits = criticalPath([bar("/x", 0, 9, 10, { admitted: 9, imageReady: 0 })], types, 50);
  expect(bottleneck(waits, "Run 1", new Map())).toMatchObject({
    path: null,
    name: "the wait for a slot",
    share: "90% of the path",
  });
  expect(bottleneck(criticalPath([], types, 1), "Run 1", new Map())).toBeNull();
});

it("neighbours in a Parallel do not follow each other", () => {
  const side = [bar("/p/a", 0, 0, 5), bar("/p/b", 5, 5, 9)];
  const parallel = new Map<string, NodeType>([["/p", "Parallel"]]);
  expect(paths(criticalPath(side, parallel, 20).bars)).toEqual(["/p/b 1"]);
});

it("a retry follows the attempt before it, and ten thousand commands are fast enough", () => {
  const retried = [bar("/a", 0, 0, 5), bar("/a", 5, 6, 9, again)];
  expect(paths(criticalPath(retried, new Map(), 20).bars)).toEqual(["/a 1", "/a 2"]);
  const chain = Array.from({ length: 10_000 }, (_, n) => bar(`/n${n}`, n, n, n + 1));
  expect(criticalPath(chain, types, 20_000).bars).toHaveLength(10_000);
});

it("an approval belongs to its round, and its wait is not active time", () => {
  const rest = [bar("/a", 0, 1, 10), bar("/approve", 10, 10, 500), bar("/b", 500, 501, 520)];
  const rounds = roundsOf(rest, [round(0, 10), round(500, 520, true)], 99_999);
  expect(rounds.map(({ label, from, to, active }) => [label, from, to, active])).toEqual([
    ["Run 1", 0, 520, 30],
  ]);
  const later = roundsOf(
    [...rest, bar("/b", NIGHT, NIGHT, NIGHT + 2, again)],
    [round(0, 10), round(500, 520, true), round(NIGHT, null)],
    NIGHT + 2,
  );
  expect(later.map(({ label, active }) => [label, active])).toEqual([
    ["Run 1", 30],
    ["Rerun 2", 2],
  ]);
});
