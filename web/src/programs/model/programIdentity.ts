/** The identity of a program: decides which pipelines belong together. */

import type { PipelineRecord } from "@/api/schema";

/** Maximum characters of a search. */
const MAX_TEXT = 1000;

/** The fields that identify a program: its script and function, or else its title and script. */
export type ProgramRef = Pick<PipelineRecord, "title" | "program" | "function">;

/** Identifies a program. The server has the same rule (`program_identity.py`). */
export function programKey(ref: ProgramRef): string {
  return JSON.stringify(programQuery(ref));
}

/** The query that names a program, of the API and of the program page. */
export function programQuery({ title, program, function: name }: ProgramRef): ProgramQuery {
  if (program === null) return { title };
  return name === null ? { title, program } : { program, function: name };
}

type ProgramQuery = { title: string; program?: string } | { program: string; function: string };

/** The program that the URL of its page names. */
export function programOf(query: URLSearchParams): ProgramRef {
  return {
    title: query.get("title") ?? "",
    program: query.get("program"),
    function: query.get("function"),
  };
}

/** The text that the list is searched for; all pipelines of the program have it. */
export function programText({ title, program, function: name }: ProgramRef): string {
  return (program === null || name === null ? title : program).slice(0, MAX_TEXT);
}

/** `checks.py nightly`, or the title. */
export function programName({ title, program, function: name }: ProgramRef): string {
  return program === null || name === null ? title : `${scriptName(program)} ${name}`;
}

export function scriptName(program: string): string {
  return program.split(/[/\\]/).at(-1) ?? program;
}

/**
 * The title of a pipeline below the name of its program: the arguments of an automatic title, and
 * nothing if they are the same.
 */
export function titleWithin(title: string, name: string): string {
  const start = title.indexOf(name);
  const directory = title.slice(0, Math.max(start, 0));
  const rest = title.slice(start + name.length);
  const isAutomatic =
    start >= 0 && /^(\S*[/\\])?$/.test(directory) && (rest === "" || rest.startsWith(" "));
  return isAutomatic ? rest.trim() : title;
}
