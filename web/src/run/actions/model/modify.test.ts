import { expect, it } from "vitest";

import { changesOf, type ModifyForm } from "@/run/actions/model/modify";

function form(values: Partial<ModifyForm["values"]> = {}, env: ModifyForm["env"] = []): ModifyForm {
  const blank = {
    command: "make",
    image: "",
    max_time: "",
    doc: "",
    cpu: "1",
    mem: "2",
    gpu: "",
    max_concurrent: "",
    retry_lost: "",
    budget: "",
  };
  return { values: { ...blank, ...values }, env };
}

it("sends only changed fields", () => {
  expect(changesOf(form(), form())).toEqual({});
  expect(changesOf(form(), form({ command: "make all", cpu: "0.5" }))).toEqual({
    command: "make all",
    cpu: 0.5,
  });
});

it("removes the value of an emptied field and sends invalid numbers to the server", () => {
  expect(changesOf(form(), form({ cpu: "", mem: "lots" }))).toEqual({ cpu: null, mem: "lots" });
});

it("adds, changes and removes variables", () => {
  const before = form({}, [
    { name: "A", value: "1" },
    { name: "B", value: "2" },
  ]);
  const after = form({}, [
    { name: "A", value: "9" },
    { name: "C", value: "" },
    { name: "", value: "" },
  ]);
  expect(changesOf(before, after)).toEqual({ env: { A: "9", B: null, C: "" } });
});
