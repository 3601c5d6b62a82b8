import { expect, test } from "vitest";

import type { ImageRecord } from "@/api/schema";
import { usedImages } from "@/images/model/images";

test("a pipeline of plain processes uses no images", () => {
  const images = [{ name: "default", state: "pending" } as ImageRecord];
  expect(usedImages({ engine: "process" }, images)).toEqual([]);
  expect(usedImages({ engine: "docker" }, images)).toBe(images);
});
