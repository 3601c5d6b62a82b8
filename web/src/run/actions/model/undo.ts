import type { ActionRequest } from "@/api/client";

/**
 * The action that reverts a skip or unskip on the nodes it changed; null for other actions.
 * `isSkipped` tells the state before.
 */
export function undoRequest(
  request: ActionRequest,
  isSkipped: (path: string) => boolean,
): ActionRequest | null {
  if (request.action !== "skip" && request.action !== "unskip") return null;
  const skips = request.action === "skip";
  const paths = (request.paths ?? []).filter((path) => isSkipped(path) !== skips);
  return paths.length === 0 ? null : { action: skips ? "unskip" : "skip", paths };
}
