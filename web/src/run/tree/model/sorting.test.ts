import { describe, expect, it } from "vitest";

import { newNode, type TreeNode } from "@/run/model/node";
import { PrefetchQueue } from "@/run/model/prefetch";
import { RowOrder } from "@/run/tree/model/sorting";
import { NO_COUNTS } from "@/run/model/states";

function exec(path: string, state: TreeNode["state"] = "pending"): TreeNode {
  return { ...newNode(path, "Exec"), state };
}

function wideGroup(first: TreeNode[], beyond: TreeNode[] = []): TreeNode {
  return {
    ...newNode("/g", "Parallel"),
    childCount: 101,
    counts: NO_COUNTS,
    children: { first, beyond, next: "/g/z", loaded: true },
  };
}

const names = (nodes: readonly TreeNode[]) => nodes.map((node) => node.name).join(" ");

describe("the order of a group", () => {
  const states = ["done", "queued", "running", "pending", "killed"] as const;
  const children = () => states.map((state, place) => exec(`/g/${place}`, state));

  it("is failed, running, queued, then definition order", () => {
    const group = wideGroup(children(), [exec("/g/8"), exec("/g/9", "error")]);
    const { active, rest, beyond } = new RowOrder().childrenOf(group);
    expect([names(active), names(rest), names(beyond)]).toEqual(["4 9 2 1", "0 3", "8"]);
  });

  it("has failures first in a short Serial, and the others in definition order", () => {
    const serial = { ...wideGroup(children()), type: "Serial" as const, childCount: 5 };
    const { active, rest } = new RowOrder().childrenOf(serial);
    expect([names(active), names(rest)]).toEqual(["4", "0 1 2 3"]);
  });

  it("uses the counts of subgroups and ignores skipped nodes", () => {
    const sub = { ...newNode("/g/s", "Serial"), counts: { ...NO_COUNTS, done: 1, queued: 1 } };
    const skipped = { ...exec("/g/k", "error"), skipped: true };
    const { active, rest } = new RowOrder().childrenOf(wideGroup([exec("/g/0"), skipped, sub]));
    expect([names(active), names(rest)]).toEqual(["s", "0 k"]);
  });

  it("is the slowest first, or as defined, if the user chooses so", () => {
    const took = (path: string, seconds: number) => ({
      ...exec(path, "done"),
      started: 1,
      ended: 1 + seconds,
    });
    const running = { ...exec("/g/r", "running"), started: 1 };
    const group = wideGroup(
      [exec("/g/0", "error"), took("/g/1", 2), took("/g/2", 9), running],
      [took("/g/9", 5)],
    );
    const order = new RowOrder();
    order.choose("time");
    expect(names(order.childrenOf(group).rest)).toBe("r 2 9 1 0");
    order.choose("definition");
    const { active, rest, beyond } = order.childrenOf(group);
    expect([names(active), names(rest), names(beyond)]).toEqual(["", "0 1 2 r", "9"]);
  });

  it("is kept until it is refreshed or a child is added", () => {
    const order = new RowOrder();
    const group = wideGroup(children());
    const [first] = group.children.first;
    expect(names(order.childrenOf(group).active)).toBe("4 2 1");
    if (first !== undefined) first.state = "running";
    expect(names(order.childrenOf(group).active)).toBe("4 2 1");
    const { version } = order;
    order.refresh();
    expect(names(order.childrenOf(group).active)).toBe("4 0 2 1");
    expect(order.version).toBe(version + 1);
    group.children.beyond.push(exec("/g/9", "error"));
    expect(names(order.childrenOf(group).active)).toBe("4 9 0 2 1");
  });
});

describe("a prefetch queue", () => {
  const counted = (path: string, running: number, known: TreeNode[] = []) => ({
    ...wideGroup([], known),
    path,
    counts: { ...NO_COUNTS, running },
  });

  it("requests only states that are present and not loaded", () => {
    const lookout = new PrefetchQueue();
    expect(lookout.next([counted("/a", 0)])).toBeNull();
    expect(lookout.next([counted("/a", 1, [exec("/a/7", "running")])])).toBeNull();
    expect(lookout.next([counted("/a", 2, [exec("/a/7", "running")])])?.states).toEqual([
      "running",
    ]);
  });

  it("stops at the limit", () => {
    const known = Array.from({ length: 20 }, (_, place) => exec(`/a/${place}`, "running"));
    expect(new PrefetchQueue().next([counted("/a", 5000, known)])).toBeNull();
  });

  it("alternates between groups", () => {
    const lookout = new PrefetchQueue();
    const groups = [counted("/a", 9), counted("/b", 9)];
    const turns = [1, 2, 3].map(() => lookout.next(groups)?.group.path);
    expect(turns).toEqual(["/a", "/b", "/a"]);
  });
});
