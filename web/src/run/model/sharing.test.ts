import { expect, it } from "vitest";

import { sharedUrl } from "@/run/model/sharing";

it("a shared link has the node, attempt and lines, but not the open groups", () => {
  const link = sharedUrl(
    "https://c.example/p/a-b?node=%2Fx&attempt=2&line=3-5&open=%2Fy&closed=%2Fz#q",
  );
  expect(link).toBe("https://c.example/p/a-b?node=%2Fx&attempt=2&line=3-5");
});
