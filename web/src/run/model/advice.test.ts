import { expect, it } from "vitest";

import { withoutCommand } from "@/run/model/advice";

it("leaves out clauses that advise a command", () => {
  expect(withoutCommand("not running; start it with: conducto run abc-def")).toBe(
    "the pipeline is paused",
  );
  expect(withoutCommand("nothing to run: /a failed; rerun: conducto rerun abc-def --failed")).toBe(
    "nothing to run: /a failed",
  );
});

it("keeps sentences without a command, and never leaves nothing", () => {
  expect(withoutCommand("waits for /a: it failed; reset it")).toBe(
    "waits for /a: it failed; reset it",
  );
  expect(withoutCommand("conducto agent start")).toBe("conducto agent start");
});
