/** What takes an order back. */

import type { Order } from "@/api/client";

/**
 * The order that undoes a skip or an unskip, on those nodes only that it changed.
 *
 * `isSkipped` tells how a node stood before. Null when the order cannot be taken back.
 */
export function undoOf(order: Order, isSkipped: (path: string) => boolean): Order | null {
  if (order.action !== "skip" && order.action !== "unskip") return null;
  const skips = order.action === "skip";
  const paths = (order.paths ?? []).filter((path) => isSkipped(path) !== skips);
  return paths.length === 0 ? null : { action: skips ? "unskip" : "skip", paths };
}
