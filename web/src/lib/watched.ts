/** The pipelines that the user watches: their end or first failure is announced. */

import { useSyncExternalStore } from "react";

import { Listeners } from "@/lib/listeners";
import { stored } from "@/lib/stored";

const KEY = "conducto.watched";
/** The newest ones are kept. */
const MAX_WATCHED = 100;

const listeners = new Listeners();
let ids: readonly string[] = read(stored.getItem(KEY));

function read(text: string | null): readonly string[] {
  return (text ?? "").split(" ").filter((id) => id !== "");
}

export function setWatched(id: string, watched: boolean): void {
  const others = ids.filter((other) => other !== id);
  ids = watched ? [...others, id].slice(-MAX_WATCHED) : others;
  stored.setItem(KEY, ids.join(" "));
  listeners.notify();
}

/** The ids of the watched pipelines. */
export function useWatched(): readonly string[] {
  return useSyncExternalStore(listeners.subscribe, () => ids);
}
