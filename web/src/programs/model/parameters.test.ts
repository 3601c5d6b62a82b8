import { describe, expect, it } from "vitest";

import type { ProgramCall, ProgramParameter } from "@/api/schema";
import {
  argumentsOf,
  changesOf,
  choicesOf,
  fieldKind,
  initialWords,
  itemsOf,
  problemsOf,
  shownParameters,
  wordOfItems,
  wordProblem,
} from "@/programs/model/parameters";

function parameter(name: string, type: object, more: Partial<ProgramParameter> = {}) {
  return {
    name,
    type: type as Record<string, unknown>,
    label: "",
    help: "",
    default: null,
    required: false,
    secret: false,
    keyword_only: false,
    ...more,
  };
}

const call: ProgramCall = {
  function: "nightly",
  script: "/p.py",
  command: [],
  directory: "/",
  digest: null,
  repository: null,
  title: null,
  parameters: [
    parameter("depth", { type: "integer" }, { default: "2" }),
    parameter("name", { type: "string" }, { required: true }),
    parameter("token", { type: "string" }, { secret: true }),
  ],
  arguments: { name: "a", depth: "3" },
  withheld: [],
  partitions: null,
  partition: null,
  backfill: [],
  rest: [],
};

describe("fields", () => {
  it("have the kind of their type", () => {
    const kinds = [
      { type: "boolean" },
      { enum: ["a"] },
      { type: "array", items: { type: "string" } },
      { type: "string", format: "date" },
      { type: "number" },
      { type: "string" },
      {},
    ].map((type) => fieldKind(parameter("p", type)));
    expect(kinds).toEqual(["switch", "choice", "list", "date", "number", "text", "text"]);
  });

  it("of an optional type have None as a choice", () => {
    const maybe = parameter("p", { anyOf: [{ type: "boolean" }, { type: "null" }] });
    expect(fieldKind(maybe)).toBe("choice");
    expect(choicesOf(maybe)).toEqual(["true", "false", "None"]);
  });

  it("leave out secrets", () => {
    expect(shownParameters(call).map((one) => one.name)).toEqual(["depth", "name"]);
  });
});

describe("arguments", () => {
  it("begin with those of the call", () => {
    expect(initialWords(call)).toEqual({ depth: "3", name: "a" });
  });

  it("leave out defaults", () => {
    expect(argumentsOf(call, { depth: "2", name: "b" })).toEqual({ name: "b" });
  });

  it("are compared with those of the call", () => {
    expect(changesOf(call, { depth: "5", name: "a" })).toEqual([
      { name: "depth", before: "3", after: "5" },
    ]);
  });

  it("have a problem for each field that cannot be sent", () => {
    expect(Object.keys(problemsOf(call, { depth: "x" }))).toEqual(["depth", "name"]);
    expect(problemsOf(call, { depth: "1", name: "" })).toEqual({});
  });
});

describe("words", () => {
  it.each([
    [{ type: "integer" }, "-12"],
    [{ type: "number" }, "1e-3"],
    [{ type: "number" }, "inf"],
    [{ type: "boolean" }, "yes"],
    [{ type: "string", format: "date" }, "2026-11-30"],
    [{ type: "string", format: "date-time" }, "2026-11-30T18:30"],
    [{ type: "string", format: "duration" }, "1h30m"],
    [{ anyOf: [{ type: "integer" }, { type: "null" }] }, "None"],
    [{ type: "array", items: { type: "integer" } }, "1,2"],
    [{}, "anything"],
  ])("of %j accept %s", (schema, word) => {
    expect(wordProblem(schema, word)).toBeNull();
  });

  it.each([
    [{ type: "integer" }, "1.5"],
    [{ type: "number" }, "many"],
    [{ type: "number" }, ""],
    [{ enum: ["a"] }, "b"],
    [{ type: "string", format: "date" }, "2026-11-31"],
    [{ type: "string", format: "duration" }, "soon"],
    [{ type: "array", items: { type: "integer" } }, "1,x"],
  ])("of %j reject %s", (schema, word) => {
    expect(wordProblem(schema, word)).not.toBeNull();
  });
});

describe("lists", () => {
  it.each([[["a", "b"]], [["a,b"]], [["[1"]], [[""]], [[]]])("%j return", (items: string[]) => {
    expect(itemsOf(wordOfItems(items))).toEqual(items);
  });

  it("escape nothing that the script does not", () => {
    expect(wordOfItems(["a", "b"])).toBe("a,b");
    expect(itemsOf("a\\,b,c")).toEqual(["a,b", "c"]);
  });
});
