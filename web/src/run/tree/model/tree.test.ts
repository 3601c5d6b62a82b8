import { describe, expect, it } from "vitest";

import cases from "../../../../../tests/golden/roll_up.json";

import type {
  AttemptRecord,
  Counts,
  EventBatch,
  NodeChange,
  NodeView,
  PipelineSummary,
} from "@/api/schema";
import { applyView, newNode, timeOf, timesOf } from "@/run/model/node";
import { ancestorsOf, isWithin, ROOT } from "@/run/model/paths";
import { flatten, nameOfRow, rowOf } from "@/run/tree/model/rows";
import { NO_COUNTS } from "@/run/model/states";
import { TreeModel } from "@/run/tree/model/tree";

export function summary(seq = 0, counts: Partial<Counts> = {}): PipelineSummary {
  return {
    pipeline: {
      schema_version: 1,
      secret_set: "",
      id: "abc-def",
      title: "t",
      doc: null,
      tags: [],
      owner: "me",
      mode: "local",
      engine: "docker",
      armed: true,
      sleep_when_done: false,
      run_at: null,
      lifecycle: "active",
      retention: 7,
      program: null,
      function: null,
      arguments: {},
      revision: 0,
      problem: null,
      foreign_change: null,
      parent: null,
      copy_of: null,
      no_cache: false,
      partition: null,
      backfill: 0,
      commit: null,
      notification_rules: [],
      alerts: [],
      git: null,
      status: {
        state: "pending",
        counts: NO_COUNTS,
        settled: true,
        seq: 0,
        started: null,
        ended: null,
        active_seconds: null,
        active_since: null,
        rounds: [],
        approvals: [],
        warning: false,
      },
      created: 0,
      touched: 0,
    },
    state: "running",
    counts: { ...NO_COUNTS, ...counts },
    settled: false,
    seq,
    workers: null,
    images: [],
    started: null,
    ended: null,
    active_seconds: null,
    active_since: null,
    rounds: [],
    approvals: [],
    agent: null,
    warning: false,
  };
}

function view(path: string, more: Partial<NodeView> = {}): NodeView {
  return {
    path,
    type: "Exec",
    state: "pending",
    skipped: false,
    cause: null,
    warning: false,
    command: "true",
    approval: null,
    run_if: null,
    skip_reason: null,
    doc: null,
    file: null,
    line: null,
    actor: null,
    modified: [],
    image: null,
    cpu: null,
    mem: null,
    max_time: null,
    counts: null,
    reuse: null,
    stopped_by: null,
    waits_for: null,
    wait_kind: null,
    wait_since: null,
    wait_holder: null,
    wait_remedy: null,
    wait_until: null,
    started: null,
    ended: null,
    idle: 0,
    children: 0,
    attempts: [],
    notifications: [],
    tail: null,
    ...more,
  };
}

function group(path: string, counts: Partial<Counts>, more: Partial<NodeView> = {}): NodeView {
  return view(path, {
    type: "Parallel",
    command: null,
    counts: { ...NO_COUNTS, ...counts },
    ...more,
  });
}

function change(seq: number, path: string, more: Partial<NodeChange> = {}): NodeChange {
  return {
    seq,
    time: seq,
    path,
    type: "Exec",
    state: "running",
    skipped: false,
    cause: null,
    warning: false,
    attempt: 1,
    exit_code: null,
    output_bytes: null,
    ...more,
  };
}

function batch(
  seq: number,
  changes: NodeChange[],
  counts: Record<string, Counts> = {},
): EventBatch {
  return { changes, counts, times: {}, actors: {}, images: [], pipeline: summary(seq) };
}

function loaded(): TreeModel {
  const model = new TreeModel(summary(0, { pending: 100 }));
  model.addFound([group("/", { pending: 3 }, { type: "Serial" })], 0);
  model.addChildren(
    ROOT,
    { seq: 0, nodes: [group("/a", { pending: 2 }), view("/b")], next: null },
    true,
  );
  return model;
}

const paths = (model: TreeModel, choices = new Map<string, boolean>()) =>
  flatten(model, { choices }).map((row) =>
    row.kind === "node"
      ? row.node.path
      : row.kind === "fold"
        ? row.fold.label
        : `${row.group.path}…`,
  );

describe("the truth table of the semantics", () => {
  for (const one of cases as unknown as TruthCase[]) {
    it(one.name, () => {
      const model = new TreeModel(summary());
      for (const node of one.nodes) {
        const blank =
          node.type === "Exec" ? view(node.path) : group(node.path, {}, { type: node.type });
        model.addFound([blank], 0);
      }
      let seq = 0;
      const changes = one.nodes.map((node) => {
        seq += 1;
        const told = one.groups[node.path] ?? node;
        return change(seq, node.path, {
          type: node.type,
          state: told.state ?? "pending",
          skipped: node.skipped ?? false,
          warning: told.warning ?? false,
          cause: told.cause ?? null,
        });
      });
      const counts = Object.fromEntries(
        Object.entries(one.groups).map(([path, g]) => [path, g.counts]),
      );
      model.apply(batch(seq, changes, counts));

      for (const [path, expected] of Object.entries(one.groups)) {
        const node = model.nodes.get(path);
        expect(node).toMatchObject({
          state: expected.state,
          warning: expected.warning,
          cause: expected.cause,
          counts: expected.counts,
        });
        expect(expected.counts).toEqual(countBelow(one, path));
      }
    });
  }
});

interface TruthNode {
  path: string;
  type: NodeView["type"];
  state?: NodeView["state"];
  skipped?: boolean;
  warning?: boolean;
  cause?: NodeView["cause"];
}

interface TruthCase {
  name: string;
  nodes: TruthNode[];
  groups: Record<
    string,
    { state: NodeView["state"]; warning: boolean; cause: NodeView["cause"]; counts: Counts }
  >;
}

/** The expected counts of a group, computed independently. */
function countBelow(one: TruthCase, path: string): Counts {
  const counts = { ...NO_COUNTS };
  const skipped = new Set(one.nodes.filter((n) => n.skipped).map((n) => n.path));
  for (const node of one.nodes) {
    if (node.type !== "Exec" || !ancestorsOf(node.path).includes(path)) continue;
    const between = [...ancestorsOf(node.path), node.path].filter(
      (above) => above !== path && isWithin(above, path),
    );
    const state = node.state ?? "pending";
    const isSkipped = between.some((above) => skipped.has(above));
    if (isSkipped) counts.skipped += 1;
    if (!isSkipped || state !== "pending") counts[state] += 1;
  }
  return counts;
}

describe("events", () => {
  it("update known nodes and ignore unknown ones", () => {
    const model = loaded();
    model.apply(batch(2, [change(1, "/b"), change(2, "/a/unseen")]));
    expect(model.nodes.get("/b")).toMatchObject({ state: "running", started: 1 });
    expect(model.nodes.has("/a/unseen")).toBe(false);
    expect(model.seq).toBe(2);
  });

  it("move the cursor, unlike a newer summary", () => {
    const model = loaded();
    model.apply(batch(9, [change(1, "/b"), change(2, "/b")]));
    model.apply(batch(12, []));
    expect(model.seq).toBe(2);
  });

  it("that a page includes are not applied twice", () => {
    const model = loaded();
    model.addFound([view("/b", { state: "done" })], 5);
    model.apply(batch(4, [change(4, "/b")]));
    expect(model.nodes.get("/b")?.state).toBe("done");
  });

  it("that arrive before an older page are not lost", () => {
    const model = loaded();
    model.beginLoad();
    model.apply(
      batch(7, [change(7, "/a/x", { state: "error" })], { "/a/g": { ...NO_COUNTS, error: 1 } }),
    );
    model.addChildren(
      "/a",
      { seq: 3, nodes: [view("/a/x"), group("/a/g", { pending: 1 })], next: null },
      true,
    );
    model.endLoad();
    expect(model.nodes.get("/a/x")?.state).toBe("error");
    expect(model.nodes.get("/a/g")?.counts?.error).toBe(1);
  });

  it("older than a group's counts do not revert them", () => {
    const model = loaded();
    model.addFound([group("/a", { done: 2 })], 9);
    model.apply(batch(8, [], { "/a": { ...NO_COUNTS, running: 2 } }));
    expect(model.nodes.get("/a")?.counts?.done).toBe(2);
  });

  it("of an unknown node make a complete list of children stale", () => {
    const model = loaded();
    model.apply(batch(1, [change(1, "/new")]));
    expect([...model.stale]).toEqual([ROOT]);
  });

  it("of a Lazy's Generate make the children of its Execute stale", () => {
    const model = loaded();
    model.addChildren(
      "/a",
      { seq: 0, nodes: [view("/a/Generate"), group("/a/Execute", {})], next: null },
      true,
    );
    model.apply(batch(1, [change(1, "/a/Generate", { state: "done" })]));
    expect([...model.stale]).toEqual(["/a/Execute"]);
  });

  it("keep the clock of a group running between two children", () => {
    const model = loaded();
    const parallel = { type: "Parallel" as const };
    model.apply(batch(1, [change(1, "/a", parallel)]));
    model.apply(batch(2, [change(2, "/a", { ...parallel, state: "pending" })]));
    model.apply(batch(3, [change(3, "/a", parallel)]));
    expect(model.nodes.get("/a")).toMatchObject({ started: 1, ended: null });
  });
});

describe("the revision of a node", () => {
  const revisionAfter = (model: TreeModel, path: string, work: () => void): number => {
    const node = model.nodes.get(path);
    const before = node?.revision ?? NaN;
    work();
    return (node?.revision ?? NaN) - before;
  };

  it("is incremented by changes, counts and pages", () => {
    const model = loaded();
    const changed = () => model.apply(batch(1, [change(1, "/b")]));
    expect(revisionAfter(model, "/b", changed)).toBeGreaterThan(0);
    const counted = () => model.apply(batch(2, [], { "/a": { ...NO_COUNTS, done: 2 } }));
    expect(revisionAfter(model, "/a", counted)).toBeGreaterThan(0);
    const listed = () => model.addFound([view("/b", { doc: "d" })], 3);
    expect(revisionAfter(model, "/b", listed)).toBeGreaterThan(0);
  });

  it("is not incremented by changes of other nodes or known changes", () => {
    const model = loaded();
    model.apply(batch(5, [change(5, "/b")]));
    const others = () =>
      model.apply(batch(6, [change(6, "/c")], { "/": { ...NO_COUNTS, done: 1 } }));
    expect(revisionAfter(model, "/b", others)).toBe(0);
    expect(revisionAfter(model, "/a", others)).toBe(0);
    const again = () => model.apply(batch(7, [change(4, "/b")]));
    expect(revisionAfter(model, "/b", again)).toBe(0);
  });
});

describe("rows", () => {
  it("show the children of open groups", () => {
    const model = loaded();
    expect(paths(model)).toEqual(["/", "/a", "/b"]);
    expect(paths(model, new Map([["/a", true]]))).toEqual(["/", "/a", "/a…", "/b"]);
  });

  it("open on failures and close when done, unless the user chose otherwise", () => {
    const model = loaded();
    model.addChildren("/a", { seq: 0, nodes: [view("/a/x")], next: null }, true);
    expect(paths(model)).not.toContain("/a/x");
    model.apply(batch(1, [], { "/a": { ...NO_COUNTS, error: 1, done: 1 } }));
    expect(paths(model)).toContain("/a/x");
    expect(paths(model, new Map([["/a", false]]))).not.toContain("/a/x");
    model.apply(
      batch(2, [change(2, "/a", { type: "Parallel", state: "done" })], {
        "/a": { ...NO_COUNTS, done: 2 },
      }),
    );
    expect(paths(model)).not.toContain("/a/x");
    expect(paths(model, new Map([["/a", true]]))).toContain("/a/x");
  });

  it("show nodes beyond the loaded range after it, until the range includes them", () => {
    const model = loaded();
    model.addChildren("/a", { seq: 0, nodes: [view("/a/0")], next: "/a/0" }, true);
    model.addFound([view("/a/7")], 0);
    const open = new Map([["/a", true]]);
    expect(paths(model, open)).toEqual(["/", "/a", "/a/0", "/a…", "/a/7", "/b"]);
    model.addChildren("/a", { seq: 0, nodes: [view("/a/6"), view("/a/7")], next: null }, false);
    expect(paths(model, open)).toEqual(["/", "/a", "/a/0", "/a/6", "/a/7", "/b"]);
  });

  it("put failures first in large groups", () => {
    const model = loaded();
    model.addFound([group("/a", { error: 1, done: 4999 }, { children: 5000 })], 0);
    const nodes = [view("/a/0"), view("/a/1")];
    model.addChildren("/a", { seq: 0, nodes, next: "/a/1" }, true);
    model.addFound([view("/a/4998", { state: "error" })], 0);
    expect(paths(model)).toEqual(["/", "/a", "/a/4998", "4,999 done", "/b"]);
    const unfolded = new Set(["/a rest"]);
    const keys = flatten(model, { unfolded }).map((row) => row.key);
    expect(keys).toEqual(["/", "/a", "/a/4998", "/a rest", "/a/0", "/a/1", "/a more", "/b"]);
  });

  it("fold children that are not loaded if all failures are known", () => {
    const model = loaded();
    model.addFound([group("/a", { error: 2, done: 98 }, { children: 100 })], 0);
    model.addFound([view("/a/7", { state: "error" })], 0);
    expect(paths(model)).toEqual(["/", "/a", "/a/7", "/a…", "/b"]);
    model.addFound([view("/a/9", { state: "error" })], 0);
    expect(paths(model)).toEqual(["/", "/a", "/a/7", "/a/9", "98 done", "/b"]);
    const unfolded = new Set(["/a rest"]);
    expect(flatten(model, { unfolded }).map((row) => row.key)).toContain("/a more");
  });

  it("put failures first in small groups and fold the rest of larger ones", () => {
    const model = loaded();
    const ids = Array.from({ length: 30 }, (_, n) => n);
    const add = (count: number, failed: (n: number) => boolean) => {
      const nodes = ids
        .slice(0, count)
        .map((n) => view(`/a/${n}`, { state: failed(n) ? "error" : "done" }));
      const error = nodes.filter((one) => one.state === "error").length;
      model.addFound([group("/a", { error, done: count - error }, { children: count })], 0);
      model.addChildren("/a", { seq: 0, nodes, next: null }, true);
    };
    add(3, (n) => n === 2);
    expect(paths(model)).toEqual(["/", "/a", "/a/2", "/a/0", "/a/1", "/b"]);
    add(30, (n) => n >= 20);
    const shown = [20, 21, 22, 23, 24].map((n) => `/a/${n}`);
    expect(paths(model)).toEqual(["/", "/a", ...shown, "5 more failed", "20 done", "/b"]);
    const current = flatten(model, { current: "/a/7" }).map((row) => row.key);
    expect(current).toContain("/a/7");
  });

  it("join groups with a single child", () => {
    const model = loaded();
    model.addChildren(
      ROOT,
      { seq: 0, nodes: [group("/a", {}, { children: 1 })], next: null },
      true,
    );
    model.addChildren(
      "/a",
      { seq: 0, nodes: [group("/a/b", {}, { children: 1 })], next: null },
      true,
    );
    model.addChildren("/a/b", { seq: 0, nodes: [view("/a/b/c")], next: null }, true);
    const choices = new Map([
      ["/a", true],
      ["/a/b", true],
    ]);
    const rows = flatten(model, { choices });
    expect(rows.map((row) => [row.key, row.level])).toEqual([
      ["/", 0],
      ["/a/b", 1],
      ["/a/b/c", 2],
    ]);
    const joined = rows.find((row) => row.kind === "node" && row.key === "/a/b");
    expect(joined?.kind === "node" ? nameOfRow(joined) : "").toBe("a/b");
    expect([rowOf(rows, "/a"), rowOf(rows, "/a/b"), rowOf(rows, "/a/b/c")]).toEqual([1, 1, 2]);
  });

  it("prune inactive nodes beyond the loaded range", () => {
    const model = loaded();
    model.addChildren("/a", { seq: 0, nodes: [view("/a/0")], next: "/a/0" }, true);
    const done = ["/a/5", "/a/6", "/a/7"].map((path) => view(path, { state: "done" }));
    model.addFound([...done, view("/a/8", { state: "running" }), group("/a/9", {})], 0);
    const open = new Map([["/a", true]]);
    model.pruneFound("/a", 5, "/a/6");
    expect(model.nodes.has("/a/5")).toBe(true);
    model.pruneFound("/a", 4, "/a/6");
    expect(paths(model, open)).toEqual(["/", "/a", "/a/8", "/a/0", "/a…", "/a/6", "/a/9", "/b"]);
    expect(model.nodes.has("/a/5")).toBe(false);
  });

  it("remove the children of a Lazy that was reset", () => {
    const model = loaded();
    model.addChildren("/a", { seq: 0, nodes: [group("/a/g", {})], next: null }, true);
    model.addChildren("/a/g", { seq: 0, nodes: [view("/a/g/x")], next: null }, true);
    model.addChildren("/a", { seq: 1, nodes: [], next: null }, true);
    expect(model.nodes.has("/a/g/x")).toBe(false);
    expect(paths(model, new Map([["/a", true]]))).toEqual(["/", "/a", "/b"]);
  });
});

describe("the times of a group", () => {
  it("come from the server at first and are then updated", () => {
    const model = new TreeModel(summary());
    const times = { started: 100, ended: null };
    model.addFound([group("/a", { running: 1 }, { state: "running", ...times })], 5);

    model.apply(batch(6, [change(6, "/a", { type: "Parallel", state: "running", time: 130 })]));
    expect(model.nodes.get("/a")?.started).toBe(100);

    model.apply(batch(7, [change(7, "/a", { type: "Parallel", state: "done", time: 160 })]));
    expect(model.nodes.get("/a")).toMatchObject({ started: 100, ended: 160 });
  });

  it("are those of the server whenever a group starts or ends", () => {
    const model = loaded();
    const changes = [change(7, "/a", { type: "Parallel", state: "done", time: 160 })];
    const time = { started: 100, ended: 159.5, idle: 50 };
    model.apply({ ...batch(7, changes), times: { "/a": time } });
    const node = model.nodes.get("/a") ?? newNode("/a", "Parallel");
    expect(node).toMatchObject(time);
    expect(timeOf(node, 999)).toBe(9.5);
    const again = new TreeModel(summary());
    again.addFound([group("/a", {}, { ...time, state: "done" })], 7);
    expect(timeOf(again.nodes.get("/a") ?? node, 999)).toBe(9.5);
  });
});

describe("the header of a node", () => {
  it("has the time of the tree, also of a group that only waits for a decision", () => {
    const waits = group(
      "/a",
      { running: 1 },
      { state: "running", started: 100, ended: 160, idle: 50 },
    );
    const model = new TreeModel(summary());
    model.addFound([waits], 5);
    expect(timeOf(timesOf(model.nodes.get("/a"), waits), 999)).toBe(10);
    expect(timeOf(timesOf(undefined, waits), 999)).toBe(10);

    model.apply(batch(6, [change(6, "/a", { type: "Parallel", state: "running", time: 200 })]));
    model.apply({ ...batch(7, []), times: { "/a": { started: 100, ended: null, idle: 90 } } });
    expect(timeOf(timesOf(model.nodes.get("/a"), waits), 220)).toBe(30);
  });
});

describe("an edited command", () => {
  it("is fetched again, and keeps its exit code", () => {
    const model = loaded();
    const failed = { state: "error", attempt: 1 } as const;
    model.apply(batch(3, [change(3, "/b", { ...failed, exit_code: 4 })]));
    expect([...model.edited]).toEqual([]);
    model.apply(batch(4, [change(4, "/b", failed)]));
    expect([...model.edited]).toEqual(["/b"]);
    expect(model.nodes.get("/b")?.exitCode).toBe(4);
  });
});

describe("the reason of a failure", () => {
  it("is shown for the attempt that failed", () => {
    const model = loaded();
    const attempts = [{ number: 1, exit_code: 1, message: null } as AttemptRecord];
    const failed = view("/b", { state: "error", cause: "exit_code", attempts, tail: "no disk" });
    model.addFound([failed], 1);
    model.addReasons([failed]);
    const node = model.nodes.get("/b") ?? newNode("/b", "Exec");
    expect(model.reasonOf(node)).toBe("no disk");
    model.apply(batch(2, [change(2, "/b", { attempt: 2 })]));
    expect(model.reasonOf(node)).toBeNull();
  });
});

describe("a requeued command", () => {
  const failed = { number: 1, state: "error", exit_code: 1, started: 5, ended: 9 };
  const attempts = [failed as AttemptRecord];

  it("is at its next attempt, without times, as in its events", () => {
    const node = newNode("/a", "Exec");
    applyView(node, view("/a", { state: "queued", attempts }), 3);
    expect([node.attempt, node.started, node.ended]).toEqual([2, null, null]);
  });

  it("is at the running attempt once it has started", () => {
    const node = newNode("/a", "Exec");
    const runs = { ...failed, number: 2, state: "running", started: 12, ended: null };
    const both = [...attempts, runs as AttemptRecord];
    applyView(node, view("/a", { state: "running", attempts: both }), 3);
    expect([node.attempt, node.started, node.ended]).toEqual([2, 12, null]);
  });
});

it("forgets that a node waits for one that failed and is queued again", () => {
  const model = new TreeModel(summary());
  const waits = { waits_for: "waits for /e2e, which failed", wait_kind: "turn" } as const;
  const nodes = [
    view("/e2e", { state: "error" }),
    view("/next", { ...waits, wait_holder: "/e2e" }),
    view("/last", { ...waits, wait_holder: "/other" }),
  ];
  model.addChildren("/", { seq: 1, nodes, next: null }, true);

  model.apply(batch(2, [change(2, "/e2e", { state: "queued" })]));

  expect(model.nodes.get("/next")).toMatchObject({ waitsFor: null, waitKind: null });
  expect(model.nodes.get("/last")).toMatchObject({ waitKind: "turn" });
});
