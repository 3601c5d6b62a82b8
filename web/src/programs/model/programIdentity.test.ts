import { expect, test } from "vitest";

import {
  programKey,
  programName,
  programOf,
  programQuery,
  programText,
  type ProgramRef,
  titleWithin,
} from "@/programs/model/programIdentity";

const CALL: ProgramRef = {
  title: "checks.py nightly --shards 2",
  program: "/home/ada/checks.py",
  function: "nightly",
};

test("script and function identify a program; without one of them, title and script do", () => {
  const key = programKey(CALL);

  expect(programKey({ ...CALL, title: "Mine" })).toBe(key);
  expect(programKey({ ...CALL, function: "web" })).not.toBe(key);
  expect(programKey({ ...CALL, program: "/q.py" })).not.toBe(key);
  expect(programKey({ ...CALL, function: null })).not.toBe(
    programKey({ ...CALL, function: null, title: "Mine" }),
  );
  expect(programKey({ ...CALL, program: null })).toBe(
    programKey({ ...CALL, program: null, function: null }),
  );
});

test.each([CALL, { ...CALL, function: null }, { ...CALL, program: null, function: null }])(
  "the URL of a program's page names the program",
  (ref) => {
    const found = programOf(new URLSearchParams({ ...programQuery(ref) }));

    expect(programKey(found)).toBe(programKey(ref));
    expect(programName(found)).toBe(programName(ref));
    expect(programText(found)).toBe(programText(ref));
  },
);

test.each([
  ["checks.py nightly", ""],
  ["checks.py nightly --shards 2", "--shards 2"],
  ["./checks.py nightly --shards 2", "--shards 2"],
  ["checks.py nightly2", "checks.py nightly2"],
  ["Before checks.py nightly", "Before checks.py nightly"],
  ["Before the release", "Before the release"],
])("the title %s is shown below the name of its program as %s", (title, shown) => {
  expect(titleWithin(title, programName(CALL))).toBe(shown);
});
