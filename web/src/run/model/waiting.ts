/** Summarises why commands wait. */

import type { NodeView } from "@/api/schema";
import { duration } from "@/lib/time";

type WaitKind = NonNullable<NodeView["wait_kind"]>;

interface Waiting {
  waitKind: WaitKind | null;
  waitsFor: string | null;
  waitUntil: number | null;
}

export interface WaitReason {
  text: string;
  /** Number of nodes with this reason. */
  count: number;
}

/** The most common reason; null if there is none. */
export function mostCommonReason(nodes: readonly NodeView[]): WaitReason | null {
  const counts = new Map<string, number>();
  for (const { waits_for: text } of nodes) {
    if (text === null || text === "skipped") continue;
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  let mostCommon: WaitReason | null = null;
  for (const [text, count] of counts) {
    if (mostCommon === null || count > mostCommon.count) mostCommon = { text, count };
  }
  return mostCommon;
}

/** Why a pending or queued node waits, as the server says; null if it waits for nothing. */
export function waitOf(
  { waitKind, waitsFor, waitUntil }: Waiting,
  now: number | null,
): string | null {
  if (waitKind === "retry" && waitUntil !== null && now !== null) return retryText(waitUntil, now);
  return waitKind === null ? null : waitsFor;
}

/** `retries in 40s`; in the cloud, a retry may be late. */
export function retryText(until: number, now: number): string {
  return until - now < 1 ? "retries soon" : `retries in ${duration(Math.floor(until - now))}`;
}
