import { expect, it } from "vitest";

import { debugCommand } from "@/lib/commands";

it("quotes the debug command for a shell", () => {
  expect(debugCommand("abc-def", "/a/b")).toBe("conducto debug abc-def /a/b");
  expect(debugCommand("abc-def", "/it's $HOME", { attempt: 2 })).toBe(
    `conducto debug abc-def '/it'"'"'s $HOME' --attempt 2`,
  );
  expect(debugCommand("abc-def", "/a", { remote: true })).toBe(
    "conducto debug abc-def /a --remote",
  );
  expect(debugCommand("abc-def", "/a", { attempt: 2, snapshot: true })).toBe(
    "conducto debug abc-def /a --attempt 2 --snapshot",
  );
});
