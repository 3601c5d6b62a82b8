import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { api } from "@/api/client";
import { dataApi } from "@/data/api/data";
import { programApi } from "@/programs/api/programs";

/** Functions that ask the cloud itself, because they are not about one pipeline. */
const OF_THE_CLOUD = new Set([
  "pipelines",
  "approvals",
  "agent",
  "whoAmI",
  "usage",
  "cacheUsage",
  "launchFromGit",
  "activity",
]);
/** Sends the file with another API of browsers, to the address that `read` has. */
const UPLOAD = "write";
const ID = "a/laptop/abc";
/** Enough of every response. */
const RESPONSE = {
  pipeline: {
    id: "abc",
    parent: null,
    copy_of: null,
    pipeline: { id: "abc", parent: null, copy_of: null },
  },
  pipelines: [],
  histories: [],
  before: "abc",
  after: "abc",
  entries: [],
  runs: [],
  places: [],
  since: null,
};

const sent: string[] = [];
beforeEach(() => {
  sent.length = 0;
  vi.stubGlobal("fetch", (url: string) => {
    sent.push(url);
    return Promise.resolve(new Response(JSON.stringify(RESPONSE)));
  });
});
afterEach(() => vi.unstubAllGlobals());

type Call = (id: string, ...more: unknown[]) => unknown;
const calls = Object.entries({ ...api, ...dataApi, ...programApi }) as [string, Call][];
const asked = calls.filter(([name]) => !OF_THE_CLOUD.has(name) && name !== UPLOAD);

describe("a function about a pipeline of a linked agent", () => {
  it.each(asked)("%s asks the agent", async (name, call) => {
    const given = { path: "/", name: "n", other: "a/laptop/abd", action: "run" };
    const result = await Promise.resolve(call(ID, given));
    const urls = typeof result === "string" ? [result] : sent;
    expect(urls).toHaveLength(1);
    for (const url of urls) {
      const { pathname, searchParams } = new URL(url, "http://cloud.invalid");
      expect(searchParams.get("agent")).toBe("laptop");
      expect(pathname).not.toContain("laptop");
      if (name === "comparePipelines") expect(searchParams.get("other")).toBe("abd");
    }
  });

  it("links to other pipelines of the agent", async () => {
    const pipeline = { id: "abc", parent: { pipeline: "p", path: "/", attempt: 1 }, copy_of: "c" };
    vi.stubGlobal("fetch", () =>
      Promise.resolve(
        new Response(
          JSON.stringify({ pipelines: [{ pipeline }], histories: [{ runs: [{ id: "abb" }] }] }),
        ),
      ),
    );
    const { pipelines, histories } = await api.relatives(ID, 1);
    expect(pipelines[0]?.pipeline).toMatchObject({
      id: "a/laptop/abc",
      parent: { pipeline: "a/laptop/p" },
      copy_of: "a/laptop/c",
    });
    expect(histories[0]?.runs[0]?.id).toBe("a/laptop/abb");
  });

  it("is not compared with one of another machine", async () => {
    await expect(api.comparePipelines(ID, { other: "a/desktop/abd" })).rejects.toThrow(
      "different machines",
    );
    expect(sent).toEqual([]);
  });
});
