import { expect, it } from "vitest";

import { announcement } from "@/run/model/announcements";

const node = {
  path: "/tests/login",
  state: "done",
  skipped: false,
  warning: false,
  cause: null,
  exitCode: null,
  waitsFor: null,
} as const;

it("announces the name, state and reason of a node", () => {
  expect(announcement(node)).toBe("login: done");
  expect(announcement({ ...node, state: "error", cause: "exit_code", exitCode: 1 })).toBe(
    "login: failed, exit 1",
  );
  expect(announcement({ ...node, state: "killed", cause: "timeout" })).toBe(
    "login: killed, timed out",
  );
  expect(announcement({ ...node, state: "queued", waitsFor: "waits for a slot" })).toBe(
    "login: queued, waits for a slot",
  );
});
