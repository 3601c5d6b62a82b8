import { expect, test } from "vitest";

import { servedAt } from "@/api/dataUrls";

const HERE = "http://127.0.0.1:9";

test("data of the pipeline and of the user is found, by path or by whole address", () => {
  expect(servedAt("/gw/manager/data/abc-def/pipeline/plots/a%20b.png", HERE)).toBe(
    "/api/v1/pipelines/abc-def/data/file?name=plots%2Fa+b.png",
  );
  expect(servedAt(`${HERE}/gw/manager/data/abc-def/user/x.csv`, HERE)).toBe(
    "/api/v1/data/file?name=x.csv",
  );
});

test("other addresses are left alone", () => {
  expect(servedAt("http://elsewhere/gw/manager/data/abc-def/user/x.csv", HERE)).toBeNull();
  expect(servedAt("https://example.com/", HERE)).toBeNull();
  expect(servedAt("/gw/manager/data/abc-def/other/x", HERE)).toBeNull();
  expect(servedAt("http://[", HERE)).toBeNull();
  expect(servedAt("/gw/manager/data/a/user/%E0%A4%A", HERE)).toBeNull();
});
