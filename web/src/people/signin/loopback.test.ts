import { describe, expect, it } from "vitest";

import { cliRequest, loopbackUrl } from "@/people/signin/loopback";

const STATE = "s".repeat(32);
const CHALLENGE = "0a".repeat(32);
const RIGHT = { port: "4000", state: STATE, challenge: CHALLENGE, host: "laptop" };

function fragment(change: Partial<typeof RIGHT>): string {
  return `#${new URLSearchParams({ ...RIGHT, ...change }).toString()}`;
}

describe("request of the command line", () => {
  it("reads the fragment", () => {
    expect(cliRequest(fragment({}))).toEqual({ ...RIGHT, port: 4000 });
  });

  it.each([
    ["no port", { port: "" }],
    ["a reserved port", { port: "80" }],
    ["another address in the port", { port: "4000@evil.invalid" }],
    ["a short state", { state: "s" }],
    ["a challenge that is not a digest", { challenge: "x".repeat(64) }],
    ["a host with markup", { host: "<b>" }],
  ])("refuses %s", (_name, change) => {
    expect(cliRequest(fragment(change))).toBeNull();
  });

  it("sends the code to this machine only", () => {
    const url = new URL(loopbackUrl({ port: 4000, state: STATE }, "cdo_x"));
    expect([url.hostname, url.port]).toEqual(["127.0.0.1", "4000"]);
    expect(url.searchParams.get("code")).toBe("cdo_x");
  });
});
