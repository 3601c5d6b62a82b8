/** Summarises why commands wait. */

import type { NodeView } from "@/api/schema";
import { nameOf } from "@/model/paths";

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

const WAITS: Record<WaitKind, string> = {
  image: "waits for its image",
  turn: "waits for a slot",
  limit: "waits for a limit",
  start: "container starts",
  approval: "waits for approval",
  unknown: "queued",
};

/** Why a pending or queued command does not run, in a few words; null if its icon says all. */
export function shortWait({ waitKind, waitsFor }: Waiting): string | null {
  if (waitKind !== null) return WAITS[waitKind];
  const [, path, why] = /^waits for (.+): (.+)$/.exec(waitsFor ?? "") ?? [];
  if (path === undefined) return null;
  return why?.startsWith("reset") === true
    ? `not run: ${nameOf(path)} failed`
    : `after ${nameOf(path)}`;
}
