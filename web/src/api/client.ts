/** The API client. Types are generated from the OpenAPI document (`npm run types`). */

import { reportFailure, reportResponse } from "@/api/connection";
import { SERVER, START_COMMAND } from "@/api/deployment";
import { earlyResponse, FROM_APP } from "@/api/early";
import { withReference, withReferences } from "@/api/references";
import { reportStatus } from "@/api/sessionLost";
import { unconfirmed } from "@/api/unconfirmed";
import type {
  AnnotationList,
  CoverageReport,
  Activity,
  AgentStatus,
  ApprovalList,
  ArtifactList,
  AttemptList,
  AttemptRecord,
  CacheUsage,
  ControlRequest,
  ControlResult,
  DecideApproval,
  ImageList,
  ImageLog,
  LatestContinuation,
  Lineage,
  LogChunk,
  LogLines,
  LogMatches,
  LogOutline,
  MergedPage,
  HistoryOfNode,
  MetricComparison,
  MetricList,
  NodeDetail,
  NodeHistory,
  NodeStates,
  PipelineComparison,
  PipelineCost,
  PipelineList,
  PipelineSummary,
  PipelineTests,
  Problem,
  ProgramPartitions,
  ProgramTests,
  Resources,
  ResultValue,
  ServiceOutput,
  TreePage,
  Usage,
  WhoAmI,
  operations,
} from "@/api/schema";
import { beside, parseReference, referenceTo } from "@/lib/references";
import { retried, wait } from "@/lib/retry";

const ROOT = "/api/v1";

export { FROM_APP };

/** Status of a response that is still being prepared, and the delay before the next request. */
const NOT_READY = 202;
const RETRY_MS = 2000;
/** The lowest status of a failure of the server, which may have done a part. */
const SERVER_ERROR = 500;

type QueryOf<Name extends keyof operations> = NonNullable<operations[Name]["parameters"]["query"]>;

/** The server rejected the request. */
export class ApiError extends Error {
  constructor(readonly problem: Problem) {
    super(withRemedy(problem));
    this.name = "ApiError";
  }

  get status(): number {
    return this.problem.status;
  }
}

function withRemedy({ detail, remedy }: Problem): string {
  if (remedy === null) return detail;
  return `${detail}${/^[A-Z]/.test(remedy) ? "." : ";"} ${remedy}`;
}

/** The server could not be reached; `unknown`: a change may have been made before. */
export class OfflineError extends Error {
  constructor({ unknown = false, ...options }: ErrorOptions & { unknown?: boolean } = {}) {
    const remedy = START_COMMAND === null ? "check the connection" : `${START_COMMAND} starts it`;
    const outcome = unknown ? ". It is not known whether the change was made" : "";
    super(`${SERVER} does not respond; ${remedy}${outcome}`, options);
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

/** The URL of an API path, which may have a query, for links and streams. */
export function apiUrl(path: string, query: Values = {}): string {
  const text = queryText(query);
  return `${ROOT}${path}${path.includes("?") ? text.replace("?", "&") : text}`;
}

/**
 * Send a request, repeating it while the response is being prepared (large files in the cloud).
 * Requests must be idempotent. Reads are also repeated if the server does not respond.
 */
export async function send(address: string, init: RequestInit): Promise<Response> {
  const isRead = init.method === undefined;
  for (;;) {
    const once = () => fetchOnce(address, init);
    const response = await (isRead ? retried(once, isOfflineError, init.signal) : once());
    if (!response.ok) throw new ApiError(await problemIn(response));
    if (response.status !== NOT_READY) return response;
    await wait(RETRY_MS, init.signal);
  }
}

/** Send a request that needs a session, and note whether there is one. */
async function sendInSession(address: string, init: RequestInit): Promise<Response> {
  try {
    const response = await send(address, init);
    reportStatus(response.status);
    return response;
  } catch (error) {
    if (error instanceof ApiError) reportStatus(error.status);
    throw error;
  }
}

/** Fetch a response with its body: a connection may be lost between the two. */
async function fetchOnce(address: string, init: RequestInit): Promise<Response> {
  try {
    const early = init.method === undefined ? await earlyResponse(address) : null;
    const response = early ?? (await fetch(address, { credentials: "same-origin", ...init }));
    const body = await response.arrayBuffer();
    reportResponse(response.status);
    return new Response(body.byteLength === 0 ? null : body, response);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    reportFailure();
    throw new OfflineError({ cause: error });
  }
}

function isOfflineError(error: unknown): boolean {
  return error instanceof OfflineError;
}

/** Time that a server has to respond to a ping, in ms. */
const PING_MS = 5000;

/** Try once whether the server responds. */
export async function ping(): Promise<void> {
  const init = { headers: FROM_APP, signal: AbortSignal.timeout(PING_MS) };
  reportStatus((await fetchOnce(apiUrl("/agent"), init)).status);
}

/**
 * Send a request that changes something. Until the server responds, it is repeated under one
 * idempotency key, so that it is executed once; the page shows meanwhile that it is not confirmed.
 */
export async function sendOnce(
  address: string,
  init: Omit<RequestInit, "headers"> & { headers?: Record<string, string> },
  action: string | null = null,
): Promise<Response> {
  const headers: Record<string, string> = {
    ...FROM_APP,
    "Idempotency-Key": crypto.randomUUID(),
    ...init.headers,
  };
  const change = unconfirmed.open(action);
  try {
    for (;;) {
      try {
        return await sendInSession(address, { ...init, headers });
      } catch (error) {
        if (!isOfflineError(error)) throw error;
        if (!(await change.failed())) throw new OfflineError({ cause: error, unknown: true });
      }
    }
  } finally {
    change.close();
  }
}

async function problemIn(response: Response): Promise<Problem> {
  try {
    return (await response.json()) as Problem;
  } catch {
    return unexpectedProblem(response.status, response.statusText);
  }
}

/** The problem of a response without a description. */
export function unexpectedProblem(status: number, text: string): Problem {
  const detail = `the server returned ${status} ${text}`;
  return {
    type: "about:blank",
    title: "unexpected response",
    status,
    detail,
    path: null,
    remedy: null,
  };
}

export async function get<T>(path: string, query: Values = {}, signal?: AbortSignal): Promise<T> {
  const init: RequestInit = { headers: FROM_APP, ...(signal === undefined ? {} : { signal }) };
  const response = await sendInSession(apiUrl(path, query), init);
  return (await response.json()) as T;
}

/** Send a request that changes something; the server executes it once. */
export async function write<T>(
  method: "POST" | "PUT" | "DELETE",
  path: string,
  body?: unknown,
): Promise<T> {
  const json = { "Content-Type": "application/json" };
  const init = body === undefined ? {} : { headers: json, body: JSON.stringify(body) };
  const response = await sendOnce(apiUrl(path), { method, ...init }, actionIn(body));
  return (await response.json()) as T;
}

/** The name of the action that a request asks for, if it has one. */
function actionIn(body: unknown): string | null {
  const { action } = (body ?? {}) as { action?: unknown };
  return typeof action === "string" ? action : null;
}

export function post<T>(path: string, body?: unknown): Promise<T> {
  return write<T>("POST", path, body);
}

/** The path of a pipeline, or of a part of it. The id may be a reference (`@/lib/references`). */
export function pipelinePath(reference: string, rest = ""): string {
  const { agent, id } = parseReference(reference);
  const query = agent === null ? "" : queryText({ agent });
  return `/pipelines/${encodeURIComponent(id)}${rest}${query}`;
}

/** The query parameter for the server of a pipeline; empty unless a linked agent has it. */
function serverOf(reference: string): { agent?: string } {
  const { agent } = parseReference(reference);
  return agent === null ? {} : { agent };
}

const OTHER_MACHINE: Problem = {
  type: "about:blank",
  title: "invalid request",
  status: 422,
  detail: "Pipelines of different machines cannot be compared",
  path: null,
  remedy: null,
};

export type ListQuery = QueryOf<"list_pipelines">;
export type TreeQuery = QueryOf<"get_tree">;
export type LogLinesQuery = QueryOf<"read_log_lines">;
export type LogQuery = QueryOf<"read_log">;
export type LogSearchQuery = QueryOf<"search_log">;
export type MergedQuery = QueryOf<"read_output">;

/** An action on a pipeline. Omitted fields have the server's defaults. */
type ApprovalChoice = Pick<DecideApproval, "path" | "approve">;
export type ActionRequest = Pick<ControlRequest, "action"> & Partial<ControlRequest>;

export const api = {
  pipelines: async (query: ListQuery, signal?: AbortSignal) =>
    withReferences(await get<PipelineList>("/pipelines", query, signal)),
  /** The pipelines that the commands of a pipeline launched, and the runs of its own program. */
  relatives: async (id: string, limit: number, signal?: AbortSignal) => {
    const parent = parseReference(id).id;
    const query = { parent, lifecycle: "all", limit, history: true, ...serverOf(id) };
    return withReferences(await get<PipelineList>("/pipelines", query, signal), id);
  },
  pipeline: async (id: string, signal?: AbortSignal) =>
    withReference(
      await get<PipelineSummary>(pipelinePath(id), {}, signal),
      parseReference(id).agent,
    ),
  continuation: (id: string, query: QueryOf<"get_continuation">, signal?: AbortSignal) =>
    get<LatestContinuation>(pipelinePath(id, "/continuation"), query, signal),
  tree: (id: string, query: TreeQuery, signal?: AbortSignal) =>
    get<TreePage>(pipelinePath(id, "/tree"), query, signal),
  states: (id: string, query: QueryOf<"get_states">, signal?: AbortSignal) =>
    get<NodeStates>(pipelinePath(id, "/states"), query, signal),
  node: (id: string, path: string, signal?: AbortSignal) =>
    get<NodeDetail>(pipelinePath(id, "/node"), { path }, signal),
  attempts: (id: string, path: string, signal?: AbortSignal) =>
    get<AttemptList>(pipelinePath(id, "/attempts"), { path }, signal),
  log: (id: string, query: LogQuery, signal?: AbortSignal) =>
    get<LogChunk>(pipelinePath(id, "/log"), query, signal),
  logLines: (id: string, query: LogLinesQuery, signal?: AbortSignal) =>
    get<LogLines>(pipelinePath(id, "/log/lines"), query, signal),
  searchLog: (id: string, query: LogSearchQuery, signal?: AbortSignal) =>
    get<LogMatches>(pipelinePath(id, "/log/search"), query, signal),
  mergedOutput: (id: string, query: MergedQuery, signal?: AbortSignal) =>
    get<MergedPage>(pipelinePath(id, "/output"), query, signal),
  logOutline: (id: string, query: QueryOf<"outline_log">, signal?: AbortSignal) =>
    get<LogOutline>(pipelinePath(id, "/log/outline"), query, signal),
  logFile: (id: string, query: QueryOf<"download_log">) =>
    apiUrl(pipelinePath(id, "/log/file"), query),
  resources: (id: string, query: QueryOf<"get_resources">, signal?: AbortSignal) =>
    get<Resources>(pipelinePath(id, "/resources"), query, signal),
  result: (id: string, query: QueryOf<"get_result">, signal?: AbortSignal) =>
    get<ResultValue>(pipelinePath(id, "/result"), query, signal),
  metrics: (id: string, query: QueryOf<"list_metrics">, signal?: AbortSignal) =>
    get<MetricList>(pipelinePath(id, "/metrics"), query, signal),
  annotations: (id: string, query: QueryOf<"list_annotations">, signal?: AbortSignal) =>
    get<AnnotationList>(pipelinePath(id, "/annotations"), query, signal),
  coverage: (id: string, query: QueryOf<"get_coverage">, signal?: AbortSignal) =>
    get<CoverageReport>(pipelinePath(id, "/coverage"), query, signal),
  pipelineTests: (id: string, query: QueryOf<"list_pipeline_tests">, signal?: AbortSignal) =>
    get<PipelineTests>(pipelinePath(id, "/tests"), query, signal),
  /** The history of the tests of a pipeline's program. */
  programTests: async (id: string, query: QueryOf<"list_program_tests">, signal?: AbortSignal) => {
    const found = await get<ProgramTests>(pipelinePath(id, "/program-tests"), query, signal);
    const pipelines = found.pipelines.map((one) => ({ ...one, id: beside(id, one.id) }));
    return { ...found, pipelines };
  },
  /** How a node behaved in the pipelines of its program up to this one. */
  nodeRuns: async (id: string, query: QueryOf<"list_node_runs">, signal?: AbortSignal) => {
    const found = await get<HistoryOfNode>(pipelinePath(id, "/node-runs"), query, signal);
    const runs = found.runs.map((one) => ({ ...one, pipeline: beside(id, one.pipeline) }));
    const since = found.since === null ? null : beside(id, found.since);
    return { ...found, runs, since };
  },
  /** The metrics of a program's pipelines on the server of one of them. */
  compareMetrics: async (id: string, query: QueryOf<"compare_metrics">, signal?: AbortSignal) => {
    const found = await get<MetricComparison>("/metrics", { ...query, ...serverOf(id) }, signal);
    const pipelines = found.pipelines.map((one) => ({ ...one, id: beside(id, one.id) }));
    return { ...found, pipelines };
  },
  comparePipelines: async (
    id: string,
    query: QueryOf<"compare_pipelines">,
    signal?: AbortSignal,
  ) => {
    const other = parseReference(query.other);
    if (other.agent !== parseReference(id).agent) throw new ApiError(OTHER_MACHINE);
    const path = pipelinePath(id, "/comparison");
    const found = await get<PipelineComparison>(path, { ...query, other: other.id }, signal);
    return { ...found, before: beside(id, found.before), after: beside(id, found.after) };
  },
  /** The flaky and the slowest nodes of a program on the server of one of its pipelines. */
  nodeHistory: async (id: string, query: QueryOf<"node_history">, signal?: AbortSignal) => {
    const found = await get<NodeHistory>("/node-history", { ...query, ...serverOf(id) }, signal);
    return { ...found, pipelines: found.pipelines.map((one) => beside(id, one)) };
  },
  /** The partitions of a program on the server of one of its pipelines. */
  partitions: async (id: string, query: QueryOf<"list_partitions">, signal?: AbortSignal) => {
    const found = await get<ProgramPartitions>(
      "/partitions",
      { ...query, ...serverOf(id) },
      signal,
    );
    const pipeline = found.pipeline === null ? null : beside(id, found.pipeline);
    const places = found.places.map((one) => ({ ...one, pipeline: beside(id, one.pipeline) }));
    return { ...found, pipeline, places };
  },
  services: (id: string, query: QueryOf<"read_service_output">, signal?: AbortSignal) =>
    get<ServiceOutput>(pipelinePath(id, "/services"), query, signal),
  artifacts: (id: string, query: QueryOf<"list_artifacts">, signal?: AbortSignal) =>
    get<ArtifactList>(pipelinePath(id, "/artifacts"), query, signal),
  exportFile: (id: string) => apiUrl(pipelinePath(id, "/export")),
  images: (id: string, signal?: AbortSignal) =>
    get<ImageList>(pipelinePath(id, "/images"), {}, signal),
  imageLog: (id: string, query: QueryOf<"read_image_log">, signal?: AbortSignal) =>
    get<ImageLog>(pipelinePath(id, "/image-log"), query, signal),
  /** The approvals that the user may decide, with references in place of ids. */
  approvals: async (signal?: AbortSignal) => {
    const { approvals } = await get<ApprovalList>("/approvals", {}, signal);
    return approvals.map((one) =>
      one.agent === null ? one : { ...one, pipeline: referenceTo(one.agent.id, one.pipeline) },
    );
  },
  decideApproval: (id: string, request: Partial<DecideApproval> & ApprovalChoice) =>
    post<AttemptRecord>(pipelinePath(id, "/approval"), request),
  control: (id: string, request: ActionRequest) =>
    post<ControlResult>(pipelinePath(id, "/control"), request),
  agent: (signal?: AbortSignal) => get<AgentStatus>("/agent", {}, signal),
  /** The signed-in user. Cloud only. */
  whoAmI: (signal?: AbortSignal) => get<WhoAmI>("/whoami", {}, signal),
  cost: (id: string, nodes: number, signal?: AbortSignal) =>
    get<PipelineCost>(pipelinePath(id, "/cost"), { nodes }, signal),
  activity: (signal?: AbortSignal) => get<Activity>("/activity", { last_lines: true }, signal),

  cacheUsage: (query: QueryOf<"get_cache_usage">, signal?: AbortSignal) =>
    get<CacheUsage>("/cache-usage", query, signal),

  lineage: (id: string, signal?: AbortSignal) =>
    get<Lineage>(pipelinePath(id, "/lineage"), {}, signal),

  usage: (query: QueryOf<"get_usage">, signal?: AbortSignal) => get<Usage>("/usage", query, signal),
};

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Why an action failed; after a refusal it is known that nothing was done. */
export function failureOf(error: unknown): string {
  const refused = error instanceof ApiError && error.status < SERVER_ERROR;
  return refused ? `Not done: ${messageOf(error)}` : messageOf(error);
}
