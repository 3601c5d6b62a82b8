import { describe, expect, it } from "vitest";

import { Lookout } from "@/model/lookout";
import { newNode, type TreeNode } from "@/model/node";
import { Arrangement, WIDE } from "@/model/order";
import { NO_COUNTS } from "@/model/states";

function exec(path: string, state: TreeNode["state"] = "pending"): TreeNode {
  return { ...newNode(path, "Exec"), state };
}

function wideGroup(first: TreeNode[], beyond: TreeNode[] = []): TreeNode {
  return {
    ...newNode("/g", "Parallel"),
    childCount: WIDE + 1,
    counts: NO_COUNTS,
    children: { first, beyond, next: "/g/z", loaded: true },
  };
}

const names = (nodes: readonly TreeNode[]) => nodes.map((node) => node.name).join(" ");

describe("the order of many children", () => {
  const states = ["done", "queued", "running", "pending", "killed"] as const;
  const children = () => states.map((state, place) => exec(`/g/${place}`, state));

  it("is failed, running, queued, then as they were defined", () => {
    const group = wideGroup(children(), [exec("/g/8"), exec("/g/9", "error")]);
    const { front, rest, beyond } = new Arrangement().of(group);
    expect([names(front), names(rest), names(beyond)]).toEqual(["4 9 2 1", "0 3", "8"]);
  });

  it("is that of their definition where they are few", () => {
    const { front, rest } = new Arrangement().of({ ...wideGroup(children()), childCount: WIDE });
    expect([names(front), names(rest)]).toEqual(["", "0 1 2 3 4"]);
  });

  it("goes by what is below a child that is a group, and leaves what is skipped", () => {
    const sub = { ...newNode("/g/s", "Serial"), counts: { ...NO_COUNTS, done: 1, queued: 1 } };
    const skipped = { ...exec("/g/k", "error"), skipped: true };
    const { front, rest } = new Arrangement().of(wideGroup([exec("/g/0"), skipped, sub]));
    expect([names(front), names(rest)]).toEqual(["s", "0 k"]);
  });

  it("is held until it is renewed, or more becomes known", () => {
    const order = new Arrangement();
    const group = wideGroup(children());
    const [first] = group.children.first;
    expect(names(order.of(group).front)).toBe("4 2 1");
    if (first !== undefined) first.state = "running";
    expect(names(order.of(group).front)).toBe("4 2 1");
    const { version } = order;
    order.renew();
    expect(names(order.of(group).front)).toBe("4 0 2 1");
    expect(order.version).toBe(version + 1);
    group.children.beyond.push(exec("/g/9", "error"));
    expect(names(order.of(group).front)).toBe("4 9 0 2 1");
  });
});

describe("a lookout", () => {
  const counted = (path: string, running: number, known: TreeNode[] = []) => ({
    ...wideGroup([], known),
    path,
    counts: { ...NO_COUNTS, running },
  });

  it("asks only for what the counts tell of and is not known", () => {
    const lookout = new Lookout();
    expect(lookout.next([counted("/a", 0)])).toBeNull();
    expect(lookout.next([counted("/a", 1, [exec("/a/7", "running")])])).toBeNull();
    expect(lookout.next([counted("/a", 2, [exec("/a/7", "running")])])?.states).toEqual([
      "running",
    ]);
  });

  it("is content with a few of many", () => {
    const known = Array.from({ length: 20 }, (_, place) => exec(`/a/${place}`, "running"));
    expect(new Lookout().next([counted("/a", 5000, known)])).toBeNull();
  });

  it("takes turns between groups", () => {
    const lookout = new Lookout();
    const groups = [counted("/a", 9), counted("/b", 9)];
    const turns = [1, 2, 3].map(() => lookout.next(groups)?.group.path);
    expect(turns).toEqual(["/a", "/b", "/a"]);
  });
});
