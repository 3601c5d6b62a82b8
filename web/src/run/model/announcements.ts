/** The texts that screen readers announce about nodes. */

import type { Cause } from "@/api/schema";
import { nameOf } from "@/run/model/paths";
import { displayState, failureText, type NodeStatus, stateLabel } from "@/run/model/states";

interface Announced extends NodeStatus {
  path: string;
  cause: Cause | null;
  exitCode: number | null;
  waitsFor: string | null;
}

/** Name, state and reason: `login: failed, exit 1`. */
export function announcement(node: Announced): string {
  const state = displayState(node);
  const waits = state === "pending" || state === "queued" ? node.waitsFor : null;
  const reason = failureText(node.cause, node.exitCode) ?? waits;
  const what = stateLabel(state);
  return `${nameOf(node.path)}: ${reason === null ? what : `${what}, ${reason}`}`;
}
