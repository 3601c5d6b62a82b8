import { describe, expect, it } from "vitest";

import { inTreeOrder, pathsFrom, pathsText } from "@/logs/model/outputSearch";

describe("results of a search", () => {
  it("are in the order of the tree, whatever comes first", () => {
    const orders = [5, 1, 9, 3].reduce<{ order: number }[]>(
      (found, order) => inTreeOrder(found, { order }),
      [],
    );
    expect(orders.map(({ order }) => order)).toEqual([1, 3, 5, 9]);
  });
});

describe("paths in a URL", () => {
  it("are read as they were written, each once", () => {
    const paths = ["/a b/c", "/d,e", "/"];
    expect(pathsFrom(pathsText(paths))).toEqual(paths);
    expect(pathsFrom("/a//b//a")).toEqual(["/a", "/b"]);
    expect([pathsText([]), pathsFrom(null)]).toEqual([null, []]);
  });
});
