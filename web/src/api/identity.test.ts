import { describe, expect, it } from "vitest";

import { authorizeUrl, challengeOf, checkedCode, SignInError } from "@/api/identity";

const PROVIDER = {
  issuer: "https://identity.invalid",
  client: "client-1",
  authorize: "https://identity.invalid/auth",
  token: "https://identity.invalid/token",
};

describe("sign-in with an identity provider", () => {
  it("computes the challenge of RFC 7636, appendix B", async () => {
    expect(await challengeOf("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")).toBe(
      "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    );
  });

  it("sends state, nonce and challenge, and never the verifier", async () => {
    const pending = { state: "state-1", nonce: "nonce-1", verifier: "verifier-1" };
    const url = new URL(await authorizeUrl(PROVIDER, pending, "https://app.invalid"));
    expect(url.href).not.toContain("verifier-1");
    expect(url.searchParams.get("state")).toBe("state-1");
    expect(url.searchParams.get("nonce")).toBe("nonce-1");
    expect(url.searchParams.get("code_challenge")).toBe(await challengeOf("verifier-1"));
    expect(url.searchParams.get("redirect_uri")).toBe("https://app.invalid/signed-in");
  });

  it.each([
    ["another state", "state=other&code=1", "not started in this tab"],
    ["no state", "code=1", "not started in this tab"],
    ["an error of the provider", "state=s&error=access_denied", "access_denied"],
    ["no code", "state=s", "no code"],
  ])("refuses a callback with %s", (_name, query, message) => {
    const check = () => checkedCode(new URLSearchParams(query), { state: "s" });
    expect(check).toThrow(SignInError);
    expect(check).toThrow(message);
  });

  it("returns the code of its own request", () => {
    expect(checkedCode(new URLSearchParams("state=s&code=c"), { state: "s" })).toBe("c");
  });
});
