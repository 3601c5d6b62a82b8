/** The form that launches a script of a Git repository. */

import type { GitLaunch, LaunchRequest, ProgramCall } from "@/api/schema";
import { commandLine } from "@/lib/shell";
import { itemsOf, shownParameters, type Words } from "@/programs/model/parameters";

export interface GitFields {
  url: string;
  ref: string;
  script: string;
  /** A command line: a function and its parameters. */
  line: string;
  image: string;
}

export type GitField = keyof GitFields;
export type Problems = Partial<Record<GitField, string>>;

export const EMPTY: GitFields = {
  url: "",
  ref: "",
  script: "pipeline.py",
  line: "",
  image: "python:3.12-slim",
};

/** The address for a clone without a key: Git prints addresses for ssh, too. */
export function httpsUrl(given: string): string {
  const url = given.trim();
  const short = /^[\w.-]+@([\w.-]+):(?!\/)(.+)$/.exec(url);
  if (short !== null) return `https://${short[1] ?? ""}/${short[2] ?? ""}`;
  const long = /^ssh:\/\/(?:[\w.-]+@)?([\w.-]+)(?::\d+)?\/(.+)$/.exec(url);
  return long === null ? url : `https://${long[1] ?? ""}/${long[2] ?? ""}`;
}

/** The words of a command line; null if a quotation mark is not closed. */
export function splitWords(line: string): string[] | null {
  const words: string[] = [];
  let word = "";
  let isWord = false;
  let quote = "";
  for (let at = 0; at < line.length; at += 1) {
    const letter = line.charAt(at);
    if (letter === "\\" && quote !== "'") {
      at += 1;
      word += line.charAt(at);
      isWord = true;
    } else if (quote !== "") {
      if (letter === quote) quote = "";
      else word += letter;
    } else if (letter === "'" || letter === '"') {
      quote = letter;
      isWord = true;
    } else if (/\s/.test(letter)) {
      if (isWord) words.push(word);
      word = "";
      isWord = false;
    } else {
      word += letter;
      isWord = true;
    }
  }
  if (isWord) words.push(word);
  return quote === "" ? words : null;
}

/** `{field: reason}` of the fields that cannot be sent. */
export function gitProblems({ url, ref, script, line, image }: GitFields): Problems {
  const found: Problems = {};
  const address = httpsUrl(url);
  if (address === "") found.url = "enter the address of a repository";
  else if (/^https?:\/\/[^/]*@/.test(address))
    found.url = "leave out the user name and password; see Private repositories";
  else if (!/^https?:\/\/[^\s@?#/]+\/[^\s@?#]+$/.test(address))
    found.url = "must be an address such as https://github.com/acme/app";
  if (/[\s~^:?*[\\]|^-/.test(ref.trim())) found.ref = "is not the name of a branch or tag";
  if (!/^[^-/\s][^\s]*\.py$/.test(script.trim()))
    found.script = "must be the path of a .py file in the repository, such as ci/pipeline.py";
  if (splitWords(line) === null) found.line = "a quotation mark is not closed";
  if (image.trim() === "") found.image = "enter an image";
  return found;
}

/** The field that an error of the server is about, and the rest of its message. */
export function serverProblem(message: string): Problems | null {
  const [, field, reason = ""] = /^(url|ref): (.*)$/s.exec(message) ?? [];
  if (field === "url") return { url: reason };
  return field === "ref" ? { ref: reason } : null;
}

/** The request of the form; `call` has the words of the parameters if they are known. */
export function gitRequest(
  fields: GitFields,
  words: readonly string[],
  options: { run: boolean; title: string },
): GitLaunch {
  const ref = fields.ref.trim();
  const title = options.title.trim();
  return {
    url: httpsUrl(fields.url),
    ref: ref === "" ? null : ref,
    script: fields.script.trim(),
    arguments: [...words],
    image: fields.image.trim(),
    run: options.run,
    title: title === "" ? null : title,
  };
}

/** The words of a function's parameters on a command line. */
export function callWords(call: ProgramCall, words: Words, rest: string): string[] {
  const shown = shownParameters(call).filter(({ name }) => words[name] !== undefined);
  const values = itemsOf(rest);
  const placed = values.length === 0 ? [] : shown.filter((one) => !one.keyword_only);
  const named = shown
    .filter((one) => !placed.includes(one))
    .map(({ name, type }) => {
      const word = words[name] ?? "";
      const flag = name.replaceAll("_", "-");
      if (type.type !== "boolean") return `--${flag}=${word}`;
      return word === "true" ? `--${flag}` : `--no-${flag}`;
    });
  return [call.function, ...placed.map(({ name }) => words[name] ?? ""), ...values, ...named];
}

/** The fields for the repository that a pipeline's script was in. */
export function fieldsOfCall({ repository }: ProgramCall): GitFields {
  return repository === null
    ? EMPTY
    : {
        ...EMPTY,
        url: httpsUrl(repository.url),
        ref: repository.branch ?? repository.commit,
        script: repository.path,
      };
}

/** The fields of a pipeline that was launched with this form. */
export function fieldsOfLaunch({ tree }: Pick<LaunchRequest, "tree">): GitFields {
  const { images, nodes } = tree as {
    images?: Record<string, { copy_url?: string; copy_branch?: string; image?: string }>;
    nodes?: { command?: string }[];
  };
  const image = images?.repository;
  const command = nodes?.find((one) => one.command !== undefined)?.command ?? "";
  const [, script, ...words] = splitWords(command) ?? [];
  if (image?.copy_url === undefined) return EMPTY;
  return {
    url: image.copy_url,
    ref: image.copy_branch === "HEAD" ? "" : (image.copy_branch ?? ""),
    script: script ?? EMPTY.script,
    line: commandLine(...words),
    image: image.image ?? EMPTY.image,
  };
}

/** Whether a pipeline was launched with this form, by the path of its program. */
export function isFromGit(program: string | null): boolean {
  return program !== null && !program.startsWith("/") && program.endsWith(".py");
}
