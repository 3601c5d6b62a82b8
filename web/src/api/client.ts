/**
 * Calls of the API. Types come from the OpenAPI document (`npm run types`); here is only how a
 * call goes over the wire and what its refusal means.
 */

import type {
  AgentStatus,
  AttemptList,
  ControlRequest,
  ControlResult,
  ImageList,
  ImageLog,
  LogChunk,
  LogLines,
  LogMatches,
  NodeDetail,
  NodeStates,
  operations,
  PipelineList,
  PipelineSummary,
  Problem,
  Resources,
  TreePage,
  Usage,
  WhoAmI,
} from "@/api/schema";
import { SERVER, WAKING } from "@/api/side";

const ROOT = "/api/v1";

/** A request made with the browser's session must say that it comes from a script of ours. */
export const FROM_APP = { "X-Conducto": "1" };

/** Status of an answer that is not ready; how long to wait before it is asked for again. */
const PREPARING = 202;
const ASK_AGAIN_MS = 2000;

type QueryOf<Name extends keyof operations> = NonNullable<operations[Name]["parameters"]["query"]>;

/** The server refused: what was wrong, and what to do. */
export class ApiError extends Error {
  constructor(readonly problem: Problem) {
    super(problem.remedy === null ? problem.detail : `${problem.detail}; ${problem.remedy}`);
    this.name = "ApiError";
  }

  get status(): number {
    return this.problem.status;
  }
}

/** No answer came. */
export class OfflineError extends Error {
  constructor(options?: ErrorOptions) {
    const remedy = WAKING === null ? "check the connection" : `${WAKING} starts it`;
    super(`${SERVER.toLowerCase()} does not answer; ${remedy}`, options);
    this.name = "OfflineError";
  }
}

type Values = Readonly<Record<string, string | number | boolean | null | undefined>>;

function queryText(values: Values): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value !== null && value !== undefined) query.set(name, String(value));
  }
  const text = query.toString();
  return text === "" ? "" : `?${text}`;
}

/** The address of a call, for links and streams. */
export function addressOf(path: string, query: Values = {}): string {
  return `${ROOT}${path}${queryText(query)}`;
}

/**
 * Ask until there is an answer: the cloud says of what it still prepares, such as a large file, that
 * it is to be asked for again. Whatever is sent can be sent twice.
 */
export async function send(address: string, init: RequestInit): Promise<Response> {
  for (;;) {
    const response = await once(address, init);
    if (!response.ok) throw new ApiError(await problemIn(response));
    if (response.status !== PREPARING) return response;
    await wait(ASK_AGAIN_MS, init.signal);
  }
}

async function once(address: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(address, { credentials: "same-origin", ...init });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new OfflineError({ cause: error });
  }
}

function wait(milliseconds: number, signal: AbortSignal | null | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(new DOMException("stopped", "AbortError"));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

async function problemIn(response: Response): Promise<Problem> {
  try {
    return (await response.json()) as Problem;
  } catch {
    return {
      type: "about:blank",
      title: "unexpected answer",
      status: response.status,
      detail: `the server answered ${response.status} ${response.statusText}`,
      path: null,
      remedy: null,
    };
  }
}

export async function get<Answer>(
  path: string,
  query: Values = {},
  signal?: AbortSignal,
): Promise<Answer> {
  const init: RequestInit = { headers: FROM_APP, ...(signal === undefined ? {} : { signal }) };
  const response = await send(addressOf(path, query), init);
  return (await response.json()) as Answer;
}

export async function post<Answer>(path: string, body?: unknown): Promise<Answer> {
  const response = await send(addressOf(path), {
    method: "POST",
    headers: {
      ...FROM_APP,
      "Idempotency-Key": crypto.randomUUID(),
      ...(body === undefined ? {} : { "Content-Type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return (await response.json()) as Answer;
}

export function at(id: string, rest = ""): string {
  return `/pipelines/${encodeURIComponent(id)}${rest}`;
}

export type ListQuery = QueryOf<"list_pipelines">;
export type TreeQuery = QueryOf<"get_tree">;
export type LogLinesQuery = QueryOf<"read_log_lines">;
export type LogQuery = QueryOf<"read_log">;
export type LogSearchQuery = QueryOf<"search_log">;

/** An order; what is not given is as the server has it by default. */
export type Order = Pick<ControlRequest, "action"> & Partial<ControlRequest>;

export const api = {
  pipelines: (query: ListQuery, signal?: AbortSignal) =>
    get<PipelineList>("/pipelines", query, signal),
  pipeline: (id: string, signal?: AbortSignal) => get<PipelineSummary>(at(id), {}, signal),
  tree: (id: string, query: TreeQuery, signal?: AbortSignal) =>
    get<TreePage>(at(id, "/tree"), query, signal),
  states: (id: string, query: QueryOf<"get_states">, signal?: AbortSignal) =>
    get<NodeStates>(at(id, "/states"), query, signal),
  node: (id: string, path: string, signal?: AbortSignal) =>
    get<NodeDetail>(at(id, "/node"), { path }, signal),
  attempts: (id: string, path: string, signal?: AbortSignal) =>
    get<AttemptList>(at(id, "/attempts"), { path }, signal),
  log: (id: string, query: LogQuery, signal?: AbortSignal) =>
    get<LogChunk>(at(id, "/log"), query, signal),
  logLines: (id: string, query: LogLinesQuery, signal?: AbortSignal) =>
    get<LogLines>(at(id, "/log/lines"), query, signal),
  searchLog: (id: string, query: LogSearchQuery, signal?: AbortSignal) =>
    get<LogMatches>(at(id, "/log/search"), query, signal),
  logFile: (id: string, query: QueryOf<"download_log">) => addressOf(at(id, "/log/file"), query),
  resources: (id: string, query: QueryOf<"get_resources">, signal?: AbortSignal) =>
    get<Resources>(at(id, "/resources"), query, signal),
  exportFile: (id: string) => addressOf(at(id, "/export")),
  images: (id: string, signal?: AbortSignal) => get<ImageList>(at(id, "/images"), {}, signal),
  imageLog: (id: string, query: QueryOf<"read_image_log">, signal?: AbortSignal) =>
    get<ImageLog>(at(id, "/image-log"), query, signal),
  control: (id: string, order: Order) => post<ControlResult>(at(id, "/control"), order),
  agent: (signal?: AbortSignal) => get<AgentStatus>("/agent", {}, signal),
  /** Who this browser is signed in as; only the cloud knows more people than one. */
  whoAmI: (signal?: AbortSignal) => get<WhoAmI>("/whoami", {}, signal),
  usage: (query: QueryOf<"get_usage">, signal?: AbortSignal) => get<Usage>("/usage", query, signal),
};

/** The sentence of any error, for a person. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
