import { expect, test } from "vitest";

import { reportStatus, sessionLost } from "@/api/sessionLost";

test("a session is lost with a rejected request, until one succeeds", () => {
  const seen: boolean[] = [];
  const unsubscribe = sessionLost.subscribe(() => seen.push(sessionLost.current()));

  for (const status of [200, 404, 401, 401, 500, 200, 403]) reportStatus(status);
  unsubscribe();

  expect(seen).toEqual([true, false]);
});
