import { describe, expect, it } from "vitest";

import { fromQuery, MAX_CHARACTERS, toQuery } from "@/run/timeline/model/openGroups";

function query(choices: [string, boolean][], current = "/"): URLSearchParams {
  const { open, closed } = toQuery(new Map(choices), current);
  return new URLSearchParams({
    ...(open === null ? {} : { open }),
    ...(closed === null ? {} : { closed }),
  });
}

describe("open groups in the URL", () => {
  it("round-trip", () => {
    const choices: [string, boolean][] = [
      ["/a/b, c", true],
      ["/ä&=+%", true],
      ["/", false],
      ["/a", false],
    ];
    const read = fromQuery(new URLSearchParams(query(choices).toString()));
    expect(read).toEqual(new Map(choices));
  });

  it("are absent without choices", () => {
    expect(query([]).toString()).toBe("");
    expect(fromQuery(new URLSearchParams("node=%2Fa"))).toEqual(new Map());
  });

  it("omit open ancestors of the current node, and keep closed ones", () => {
    const choices: [string, boolean][] = [
      ["/a", true],
      ["/a/b", true],
      ["/a/b/c", false],
    ];
    expect(fromQuery(query(choices, "/a/b/c/d"))).toEqual(new Map([["/a/b/c", false]]));
  });

  it("are limited to those nearest to the current node", () => {
    const choices = Array.from({ length: 1000 }, (_, place): [string, boolean] => [
      `/group ${place % 10}/sub ${place}`,
      true,
    ]);
    const text = query(choices, "/group 7/sub 997/leaf");
    expect(text.toString().length).toBeLessThanOrEqual(MAX_CHARACTERS + 10);
    const kept = [...fromQuery(text).keys()];
    expect(kept.length).toBeGreaterThan(40);
    expect(kept.every((path) => path.startsWith("/group 7/"))).toBe(true);
  });
});
