import { expect, test } from "vitest";

import { DEFAULT_SHARE, MAX_SHARE, MIN_SHARE, moveShare, parseShare } from "@/run/model/split";

test("stored shares are limited, and invalid ones are the default", () => {
  expect(parseShare("33.5")).toBe(33.5);
  expect(parseShare("3")).toBe(MIN_SHARE);
  expect(parseShare("99")).toBe(MAX_SHARE);
  for (const text of [null, "", "wide", '{"tree":40,"node":60}']) {
    expect(parseShare(text)).toBe(DEFAULT_SHARE);
  }
});

test("arrow keys move the border within its limits", () => {
  expect(moveShare(40, "ArrowRight")).toBe(42);
  expect(moveShare(MIN_SHARE, "ArrowLeft")).toBe(MIN_SHARE);
  expect(moveShare(69, "ArrowRight")).toBe(MAX_SHARE);
  expect(moveShare(50, "Home")).toBe(MIN_SHARE);
  expect(moveShare(50, "End")).toBe(MAX_SHARE);
  expect(moveShare(50, "Enter")).toBe(DEFAULT_SHARE);
  expect(moveShare(50, "Tab")).toBeNull();
});
