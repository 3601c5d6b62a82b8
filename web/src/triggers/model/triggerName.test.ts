import { describe, expect, it } from "vitest";

import { suggestedName } from "@/triggers/model/triggerName";

describe("the name of a new trigger", () => {
  it("is the last part of the address", () => {
    expect(suggestedName("https://github.com/acme/app.git/", [])).toBe("app");
    expect(suggestedName("https://git.acme.org/app", ["app"])).toBe("app");
    expect(suggestedName("https://github.com", [])).toBe("");
  });

  it("has the owner if another trigger has that name", () => {
    expect(suggestedName("https://github.com/other/app", ["app"])).toBe("other-app");
  });
});
