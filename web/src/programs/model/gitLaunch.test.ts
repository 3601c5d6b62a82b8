import { describe, expect, it } from "vitest";

import type { ProgramCall } from "@/api/schema";
import {
  callWords,
  EMPTY,
  fieldsOfLaunch,
  gitProblems,
  gitRequest,
  httpsUrl,
  serverProblem,
  splitWords,
} from "@/programs/model/gitLaunch";

describe("the form of a launch from Git", () => {
  it("turns addresses for ssh into those that need no key", () => {
    expect(httpsUrl("git@github.com:acme/app.git")).toBe("https://github.com/acme/app.git");
    expect(httpsUrl(" ssh://git@git.acme.org:22/app ")).toBe("https://git.acme.org/app");
    expect(httpsUrl("https://github.com/acme/app")).toBe("https://github.com/acme/app");
  });

  it("splits a command line as a shell does", () => {
    expect(splitWords(`nightly --name='a b' "it's"\\ x ''`)).toEqual([
      "nightly",
      "--name=a b",
      "it's x",
      "",
    ]);
    expect(splitWords("it's")).toBeNull();
  });

  it("names the fields with problems", () => {
    const wrong = { url: "https://me:x@host/a", ref: "a b", script: "/x", line: "'", image: " " };
    expect(Object.keys(gitProblems(wrong))).toEqual(["url", "ref", "script", "line", "image"]);
    expect(gitProblems({ ...EMPTY, url: "git@github.com:acme/app" })).toEqual({});
    expect(serverProblem("ref: x has no branch 'y'")).toEqual({ ref: "x has no branch 'y'" });
    expect(serverProblem("something else")).toBeNull();
  });

  it("writes parameters as words, and reads a launch back", () => {
    const parameter = { label: "", help: "", default: null, required: true, secret: false };
    const call = {
      function: "nightly",
      parameters: [
        { ...parameter, name: "depth", type: { type: "integer" }, keyword_only: false },
        { ...parameter, name: "be_fast", type: { type: "boolean" }, keyword_only: true },
      ],
    } as unknown as ProgramCall;
    const words = { depth: "3", be_fast: "false" };
    expect(callWords(call, words, "")).toEqual(["nightly", "--depth=3", "--no-be-fast"]);
    expect(callWords(call, words, "x,y")).toEqual(["nightly", "3", "x", "y", "--no-be-fast"]);

    const fields = { ...EMPTY, url: "https://h/a", ref: " dev ", line: "f 'a b'" };
    const request = gitRequest(fields, ["f", "a b"], { run: true, title: " " });
    expect(request).toMatchObject({ ref: "dev", title: null, arguments: ["f", "a b"] });
    const image = { copy_url: "https://h/a", copy_branch: "HEAD", image: "i" };
    const nodes = [{}, { command: "python p.py f 'a b'" }];
    expect(fieldsOfLaunch({ tree: { images: { repository: image }, nodes } })).toEqual({
      url: "https://h/a",
      ref: "",
      script: "p.py",
      line: "f 'a b'",
      image: "i",
    });
  });
});
