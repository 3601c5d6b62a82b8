import { expect, test } from "vitest";

import { usageOf } from "@/billing/model/usage";

const group = (path: string) => ({ path, type: "Serial" as const, image: null });
const exec = (path: string, image: string | null) => ({ path, type: "Exec" as const, image });

const TREE = [
  group("/"),
  group("/build"),
  exec("/build/a", "tools"),
  exec("/build/b", "tools"),
  group("/test"),
  exec("/test/a", "tools"),
  exec("/test/b", "python"),
];

test("a group whose commands all use the image represents them", () => {
  expect(usageOf("tools", TREE)).toEqual({ execs: 3, paths: ["/build", "/test/a"] });
});

test("an image that every command uses is represented by the root", () => {
  expect(usageOf("x", [group("/"), group("/g"), exec("/g/a", "x"), exec("/b", "x")])).toEqual({
    execs: 2,
    paths: ["/"],
  });
});

test("an unused image has no paths", () => {
  expect(usageOf("other", TREE)).toEqual({ execs: 0, paths: [] });
});

test("a name with a common prefix is a different node", () => {
  const tree = [group("/"), group("/a"), exec("/a/x", "one"), group("/ab"), exec("/ab/x", "two")];
  expect(usageOf("one", tree)).toEqual({ execs: 1, paths: ["/a"] });
});
