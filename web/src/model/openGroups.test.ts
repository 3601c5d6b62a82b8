import { describe, expect, it } from "vitest";

import { fromAddress, MOST_LETTERS, toAddress } from "@/model/openGroups";

function query(choices: [string, boolean][], current = "/"): URLSearchParams {
  const { open, closed } = toAddress(new Map(choices), current);
  return new URLSearchParams({
    ...(open === null ? {} : { open }),
    ...(closed === null ? {} : { closed }),
  });
}

describe("groups in the address", () => {
  it("come back as they were", () => {
    const choices: [string, boolean][] = [
      ["/a/b, c", true],
      ["/ä&=+%", true],
      ["/", false],
      ["/a", false],
    ];
    const read = fromAddress(new URLSearchParams(query(choices).toString()));
    expect(read).toEqual(new Map(choices));
  });

  it("are none where nothing was chosen", () => {
    expect(query([]).toString()).toBe("");
    expect(fromAddress(new URLSearchParams("node=%2Fa"))).toEqual(new Map());
  });

  it("leave out what a link to the node opens anyway, and keep what is closed above it", () => {
    const choices: [string, boolean][] = [
      ["/a", true],
      ["/a/b", true],
      ["/a/b/c", false],
    ];
    expect(fromAddress(query(choices, "/a/b/c/d"))).toEqual(new Map([["/a/b/c", false]]));
  });

  it("that are too many are those near the node", () => {
    const choices = Array.from({ length: 1000 }, (_, place): [string, boolean] => [
      `/group ${place % 10}/sub ${place}`,
      true,
    ]);
    const text = query(choices, "/group 7/sub 997/leaf");
    expect(text.toString().length).toBeLessThanOrEqual(MOST_LETTERS + 10);
    const kept = [...fromAddress(text).keys()];
    expect(kept.length).toBeGreaterThan(40);
    expect(kept.every((path) => path.startsWith("/group 7/"))).toBe(true);
  });
});
