import { expect, test } from "vitest";

import { errorsOf, nameError } from "@/schedules/model/scheduleForm";

test("a name is checked while it is typed", () => {
  expect(nameError("daily-abc", ["nightly"])).toBeNull();
  expect(nameError("nightly", ["nightly"])).toContain("already");
  expect(nameError("bad name!", [])).toContain("letters, digits");
  expect(nameError("", [])).toBeNull();
});

test("a refusal is shown at the field that it is about", () => {
  const zone = { status: 422, path: "zone", detail: "zone: no time zone 'X'" };
  expect(errorsOf(zone)).toEqual({ zone: "no time zone 'X'" });
  const taken = { status: 409, path: null, detail: "there is a schedule 'nightly'" };
  expect(errorsOf(taken)).toEqual({ name: "there is a schedule 'nightly'" });
  const missing = { status: 404, path: null, detail: "no pipeline 'zzz-zzz'" };
  expect(errorsOf(missing)).toEqual({ pipeline: "no pipeline 'zzz-zzz'" });
  expect(errorsOf({ status: 500, path: null, detail: "unexpected error" })).toEqual({});
});
