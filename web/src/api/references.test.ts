import { describe, expect, it } from "vitest";

import { apiUrl, pipelinePath } from "@/api/client";
import { parseReference, referenceTo } from "@/lib/references";

describe("references", () => {
  it("name the agent and the id", () => {
    expect(parseReference(referenceTo("laptop", "abc"))).toEqual({ agent: "laptop", id: "abc" });
    for (const id of ["abc", "a/laptop", "a//abc", "b/laptop/abc", "a/laptop/abc/d"])
      expect(parseReference(id)).toEqual({ agent: null, id });
  });

  it("become a parameter of requests", () => {
    expect(apiUrl(pipelinePath("a/laptop/abc", "/tree"), { root: "/" })).toBe(
      "/api/v1/pipelines/abc/tree?agent=laptop&root=%2F",
    );
    expect(apiUrl(pipelinePath("a/laptop/abc"))).toBe("/api/v1/pipelines/abc?agent=laptop");
    expect(apiUrl(pipelinePath("abc", "/tree"), { root: "/" })).toBe(
      "/api/v1/pipelines/abc/tree?root=%2F",
    );
  });
});
