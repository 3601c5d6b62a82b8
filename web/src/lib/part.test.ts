import { expect, test } from "vitest";

import { Part } from "@/lib/part";

test("code that could not be loaded is requested again, and loaded once", async () => {
  const results = [Promise.reject(new Error("offline")), Promise.resolve("code")];
  let requests = 0;
  const part = new Part(() => results[requests++] ?? Promise.reject(new Error("too many")));
  const seen: string[] = [];
  part.subscribe(() => seen.push(part.current().kind));

  await Promise.all([part.request(), part.request()]);
  expect(part.current()).toEqual({ kind: "failed", error: new Error("offline") });

  await part.request();
  await part.request();
  expect(part.current()).toEqual({ kind: "loaded", value: "code" });
  expect(requests).toBe(2);
  expect(seen).toEqual(["failed", "loading", "loaded"]);
});
