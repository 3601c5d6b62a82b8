import { expect, test } from "vitest";

import { servedUrl } from "@/data/api/dataUrls";

const HERE = "http://127.0.0.1:9";

test("data URLs of pipelines and users are recognised with and without origin", () => {
  expect(servedUrl("/gw/manager/data/abc-def/pipeline/plots/a%20b.png", HERE)).toBe(
    "/api/v1/pipelines/abc-def/data/file?name=plots%2Fa+b.png",
  );
  expect(servedUrl(`${HERE}/gw/manager/data/abc-def/user/x.csv`, HERE)).toBe(
    "/api/v1/data/file?name=x.csv",
  );
});

test("other addresses are left unchanged", () => {
  expect(servedUrl("http://elsewhere/gw/manager/data/abc-def/user/x.csv", HERE)).toBeNull();
  expect(servedUrl("https://example.com/", HERE)).toBeNull();
  expect(servedUrl("/gw/manager/data/abc-def/other/x", HERE)).toBeNull();
  expect(servedUrl("http://[", HERE)).toBeNull();
  expect(servedUrl("/gw/manager/data/a/user/%E0%A4%A", HERE)).toBeNull();
});
