/** What all live data shares: subscribers, timers, cancellation and paging. */

import { useEffect, useState, useSyncExternalStore } from "react";

import { api, type TreeQuery } from "@/api/client";
import type { TreePage } from "@/api/schema";
import { Listeners } from "@/lib/listeners";

/**
 * Why requests of a closed source end. An exception that is made at each abort would keep the
 * functions on its stack, and with them the page that was left.
 */
const CLOSED = new DOMException("closed", "AbortError");

/** Data that is kept current in the background until it is closed. */
export abstract class LiveSource {
  /** Incremented on every visible change. */
  version = 0;

  private readonly listeners = new Listeners();
  private readonly aborter = new AbortController();
  private readonly timers = new Map<string, number>();

  readonly subscribe = this.listeners.subscribe;
  readonly getVersion = (): number => this.version;

  close(): void {
    this.aborter.abort(CLOSED);
    for (const name of this.timers.keys()) this.cancel(name);
  }

  /** Aborts when the source is closed. */
  protected get signal(): AbortSignal {
    return this.aborter.signal;
  }

  /** Start a timer, unless it is running or the source is closed. */
  protected schedule(name: string, delay: number, work: () => unknown): void {
    if (this.signal.aborted || this.timers.has(name)) return;
    const run = () => {
      this.timers.delete(name);
      work();
    };
    this.timers.set(name, window.setTimeout(run, delay));
  }

  protected isScheduled(name: string): boolean {
    return this.timers.has(name);
  }

  protected cancel(name: string): void {
    window.clearTimeout(this.timers.get(name));
    this.timers.delete(name);
  }

  protected show(): void {
    if (this.signal.aborted) return;
    this.version += 1;
    this.listeners.notify();
  }
}

/**
 * Open a source while a component shows it. If `key` changes, another one is opened, and the first
 * one is returned until then.
 */
export function useLive<Source extends LiveSource>(open: () => Source, key: string): Source | null {
  const [current, setCurrent] = useState<Source | null>(null);
  useEffect(() => {
    const source = open();
    setCurrent(source);
    return () => source.close();
    // `open` is a new function on every render.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [key]);
  return current;
}

/** Render again on every change of a source. Returns its version. */
export function useLiveVersion(source: LiveSource): number {
  return useSyncExternalStore(source.subscribe, source.getVersion);
}

/** The pages of a tree query, fetched one after another. */
export async function* treePages(
  id: string,
  query: TreeQuery,
  signal?: AbortSignal,
): AsyncGenerator<TreePage> {
  let after: string | null = query.after ?? null;
  do {
    const page: TreePage = await api.tree(
      id,
      { ...query, ...(after === null ? {} : { after }) },
      signal,
    );
    yield page;
    after = page.next;
  } while (after !== null);
}
