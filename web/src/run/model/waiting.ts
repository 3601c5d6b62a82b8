/** Summarises why commands wait. */

import type { NodeView } from "@/api/schema";

type WaitKind = NonNullable<NodeView["wait_kind"]>;

interface Waiting {
  waitKind: WaitKind | null;
  waitsFor: string | null;
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
export function waitOf({ waitKind, waitsFor }: Waiting): string | null {
  return waitKind === null ? null : waitsFor;
}
