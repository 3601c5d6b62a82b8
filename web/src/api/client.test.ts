import { expect, it } from "vitest";

import { ApiError, failureOf, OfflineError } from "@/api/client";

const problem = { type: "about:blank", title: "", path: null, remedy: null };

it("says of a refused action that it was not done", () => {
  const refused = new ApiError({ ...problem, status: 409, detail: "it runs already" });
  expect(failureOf(refused)).toBe("Not done: it runs already");
});

it("has only the message if the outcome is unknown", () => {
  const failed = new ApiError({ ...problem, status: 502, detail: "the server failed" });
  expect(failureOf(failed)).toBe("the server failed");
  expect(failureOf(new OfflineError({ unknown: true }))).toContain("It is not known whether");
});
