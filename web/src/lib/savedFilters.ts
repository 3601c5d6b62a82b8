/** Filters of the list that the user has saved in this browser. */

import { useSyncExternalStore } from "react";

import { Listeners } from "@/lib/listeners";

export interface SavedFilter {
  name: string;
  /** A query string without the question mark. */
  query: string;
}

const KEY = "conducto.filters";

const listeners = new Listeners();
let current = read();
window.addEventListener("storage", ({ key, newValue }) => {
  if (key === KEY) change(parseFilters(newValue));
});

/** Parse stored filters, ignoring invalid ones. */
export function parseFilters(text: string | null): readonly SavedFilter[] {
  let parsed: unknown;
  try {
    parsed = text === null ? [] : JSON.parse(text);
  } catch {
    parsed = [];
  }
  return Array.isArray(parsed) ? parsed.filter(isFilter) : [];
}

function isFilter(value: unknown): value is SavedFilter {
  if (typeof value !== "object" || value === null) return false;
  const { name, query } = value as Partial<Record<keyof SavedFilter, unknown>>;
  return typeof name === "string" && typeof query === "string";
}

function read(): readonly SavedFilter[] {
  try {
    return parseFilters(localStorage.getItem(KEY));
  } catch {
    return [];
  }
}

function change(filters: readonly SavedFilter[]): void {
  current = filters;
  listeners.notify();
}

function store(filters: readonly SavedFilter[]): void {
  change(filters);
  try {
    localStorage.setItem(KEY, JSON.stringify(filters));
  } catch {
    // Without storage, filters last until the page is closed.
  }
}

/** Save a filter; one of the same name is replaced. */
export function saveFilter(filter: SavedFilter): void {
  store([...current.filter((one) => one.name !== filter.name), filter]);
}

export function removeFilter(name: string): void {
  store(current.filter((one) => one.name !== name));
}

export function useSavedFilters(): readonly SavedFilter[] {
  return useSyncExternalStore(listeners.subscribe, () => current);
}
