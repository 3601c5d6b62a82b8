/** Page state in the URL, so that it can be shared and the back button works. */

import { useMemo, useSyncExternalStore, type MouseEvent } from "react";

import { Listeners } from "@/lib/listeners";
import { parseReference } from "@/lib/references";

/** What each page receives. */
export interface PageProps {
  /** Values of the parts of the path in braces, by name. */
  params: Readonly<Record<string, string>>;
}

const listeners = new Listeners();
window.addEventListener("popstate", () => listeners.notify());

/** Path and query of the URL. */
export function useLocation(): { path: string; query: URLSearchParams } {
  const href = useSyncExternalStore(listeners.subscribe, () => location.pathname + location.search);
  return useMemo(() => {
    const [path = "/", query = ""] = href.split("?");
    return { path, query: new URLSearchParams(query) };
  }, [href]);
}

/** Go to a URL of the app. `replace` adds no history entry. */
export function navigate(to: string, options: { replace?: boolean } = {}): void {
  if (to === location.pathname + location.search) return;
  if (options.replace === true) history.replaceState(null, "", to);
  else history.pushState(null, "", to);
  listeners.notify();
}

/** Parameters that identify an output. */
const OUTPUT_PARAMETERS = ["node", "attempt", "stream"];

/** Set query parameters; null removes one. */
export function setQuery(changes: Record<string, string | null>, replace = false): void {
  const query = new URLSearchParams(location.search);
  // A line number refers to one output.
  if (OUTPUT_PARAMETERS.some((name) => name in changes)) query.delete("line");
  // The selected nodes are those of one group.
  if ("node" in changes) ["nodes", "hidden", "failed"].forEach((name) => query.delete(name));
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "") query.delete(name);
    else query.set(name, value);
  }
  const text = query.toString();
  navigate(text === "" ? location.pathname : `${location.pathname}?${text}`, { replace });
}

/** Follow a link within the app, unless the user opens it in another tab. */
export function followLink(event: MouseEvent<HTMLAnchorElement>): void {
  if (event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  const target = new URL(event.currentTarget.href);
  navigate(target.pathname + target.search);
}

/** The page of a program that these parameters name (`programQuery`). */
export function programUrl(query: Record<string, string>): string {
  return `/program?${new URLSearchParams(query).toString()}`;
}

interface OutputPlace {
  node: string;
  attempt: number;
  stream?: string;
  /** Counted from 1. */
  line?: number | null;
}

/** The URL of an output, or of a line of it. */
export function outputUrl(id: string, { node, attempt, stream, line }: OutputPlace): string {
  const query = new URLSearchParams({ node, attempt: String(attempt) });
  if (stream === "services") query.set("tab", stream);
  else if (stream !== undefined) query.set("stream", stream);
  if (line !== undefined && line !== null) query.set("line", String(line));
  return `${pipelineUrl(id)}?${query.toString()}`;
}

/** The URL of the page of a pipeline, whose id may be a reference (`@/lib/references`). */
export function pipelineUrl(reference: string, node?: string): string {
  const { agent, id } = parseReference(reference);
  const machine = agent === null ? "" : `/a/${encodeURIComponent(agent)}`;
  const base = `${machine}/p/${encodeURIComponent(id)}`;
  return node === undefined ? base : `${base}?${new URLSearchParams({ node }).toString()}`;
}

/** The linked agent in a path such as `/a/AGENT/p/ID`, and the path without it. */
export function machineIn(path: string): { agent: string | null; rest: string } {
  const found = /^\/a\/([^/]+)(\/p\/.*)$/.exec(path);
  return { agent: found?.[1] ?? null, rest: found?.[2] ?? path };
}

/** Whether a path belongs to the page of a pipeline. */
export function isPipelinePath(path: string): boolean {
  return machineIn(path).rest.startsWith("/p/");
}

/** The form that launches from a Git repository, filled in for a pipeline. */
export function gitLaunchUrl(id?: string): string {
  return id === undefined ? "/launch" : `/launch?from=${encodeURIComponent(id)}`;
}

/** The form that launches a pipeline's program again. */
export function launchUrl(id: string): string {
  return `${pipelineUrl(id)}/launch`;
}
