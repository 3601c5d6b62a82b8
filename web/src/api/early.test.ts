import { describe, expect, it } from "vitest";

import { firstAddresses } from "@/api/early";

const of = (url: string) => firstAddresses(new URL(url, "http://host") as unknown as Location);

describe("the first requests", () => {
  it("are those of the pipeline's page", () => {
    expect(of("/p/abc-def")).toEqual([
      "/api/v1/pipelines/abc-def",
      "/api/v1/pipelines/abc-def/tree?attempts=newest&depth=1&limit=201",
      "/api/v1/pipelines/abc-def/node?path=%2F",
    ]);
    expect(of("/p/abc-def?node=/a%20b&tab=details")[2]).toMatch(/node\?path=%2Fa\+b$/);
  });

  it("are not sent from other pages, or before signing in", () => {
    for (const url of ["/", "/p/abc-def/timeline", "/a/m/p/abc-def", "/p/abc-def#code=x"]) {
      expect(of(url)).toEqual([]);
    }
  });
});
