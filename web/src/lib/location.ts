/**
 * The address as the state of the page: what is opened, looked for and filtered stands in the URL,
 * so that it can be shared and the back button works.
 */

import { useMemo, useSyncExternalStore, type MouseEvent } from "react";

/** What each page receives. */
export interface PageProps {
  /** Values of the parts of the path in braces, by name. */
  params: Readonly<Record<string, string>>;
}

const listeners = new Set<() => void>();

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  window.addEventListener("popstate", listener);
  return () => {
    listeners.delete(listener);
    window.removeEventListener("popstate", listener);
  };
}

function told(): void {
  for (const listener of listeners) listener();
}

/** Path and query of the address, as it changes. */
export function useLocation(): { path: string; query: URLSearchParams } {
  const href = useSyncExternalStore(subscribe, () => location.pathname + location.search);
  return useMemo(() => {
    const [path = "/", query = ""] = href.split("?");
    return { path, query: new URLSearchParams(query) };
  }, [href]);
}

/** Go to an address of the app. `replace` leaves no step for the back button. */
export function navigate(to: string, options: { replace?: boolean } = {}): void {
  if (to === location.pathname + location.search) return;
  if (options.replace === true) history.replaceState(null, "", to);
  else history.pushState(null, "", to);
  told();
}

/** Parameters that say which output is meant. */
const OUTPUT = ["node", "attempt", "stream"];

/** Change parameters of the query; null takes one away. */
export function setQuery(changes: Record<string, string | null>, replace = false): void {
  const query = new URLSearchParams(location.search);
  // A line is one of an output: whoever goes to another one does not mean that line there.
  if (OUTPUT.some((name) => name in changes)) query.delete("line");
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "") query.delete(name);
    else query.set(name, value);
  }
  const text = query.toString();
  navigate(text === "" ? location.pathname : `${location.pathname}?${text}`, { replace });
}

/** Follow a link inside of the page, unless the reader wants it in another tab. */
export function followLink(event: MouseEvent<HTMLAnchorElement>): void {
  if (event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  const target = new URL(event.currentTarget.href);
  navigate(target.pathname + target.search);
}

export function pipelineUrl(id: string, node?: string): string {
  const base = `/p/${encodeURIComponent(id)}`;
  return node === undefined ? base : `${base}?${new URLSearchParams({ node }).toString()}`;
}
