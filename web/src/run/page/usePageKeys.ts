import { useEffect, useRef } from "react";

import { api, messageOf } from "@/api/client";
import type { NodeView } from "@/api/schema";
import { toast } from "@/components/toasts";
import { debugCommand } from "@/lib/commands";
import { setQuery } from "@/lib/location";
import { currentSettings } from "@/lib/settings";
import { findCauses } from "@/run/tree/live/search";
import type { PipelineSession } from "@/run/live/session";
import { ROOT } from "@/run/model/paths";
import { headerActions } from "@/run/model/pipelineStatus";
import type { Actions } from "@/run/actions/useActions";
import { copyCommand } from "@/debug/useDebugEntries";
import { focusTree } from "@/run/page/useTreeFocus";

interface Context {
  session: PipelineSession;
  current: string | null;
  targets: readonly string[];
  actions: Actions;
}

/** Maximum number of nodes that a key steps through. */
const MAX_NODES = 1000;

/**
 * Keyboard shortcuts of the tree and the node, which have `data-keys`. Ignored elsewhere and in
 * fields, so that a key cannot act on a node while the user is at a link or a button of the page.
 *
 * Keys are handled one after another, so that an action after a jump applies to its target.
 */
export function usePageKeys(context: Context): void {
  const newest = useRef(context);
  useEffect(() => {
    newest.current = context;
  });
  useEffect(() => {
    let queue = Promise.resolve();
    const onKey = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      if (!acceptsKeys(event.target) || !currentSettings().keys) return;
      const work = KEYS[event.key];
      if (work === undefined) return;
      event.preventDefault();
      queue = queue.then(async () => {
        await work(newest.current);
        if (JUMPS.has(event.key)) await rendered();
      });
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, []);
}

function rendered(): Promise<void> {
  return new Promise((resolve) => window.setTimeout(resolve, 0));
}

const JUMPS: ReadonlySet<string> = new Set(["n", "p", "u"]);

const KEYS: Record<string, (context: Context) => unknown> = {
  "/": () => document.querySelector<HTMLInputElement>("#tree-search")?.focus(),
  n: ({ session, current }) => goToFailure(session, current, 1).then(focusTree),
  p: ({ session, current }) => goToFailure(session, current, -1).then(focusTree),
  u: ({ session, current }) => goToRunning(session, current),
  f: () => toggleFailed(),
  r: ({ actions, targets }) => void actions.nodes("rerun", targets, true),
  s: ({ actions, targets }) => void actions.toggleSkip(targets),
  k: ({ actions, targets }) => void actions.nodes("kill", targets),
  e: ({ actions, targets }) => actions.modify(targets),
  d: ({ session, current }) => void copyDebug(session, current),
  g: ({ session, actions }) => runOrPause(session, actions),
};

function toggleFailed(): void {
  const state = new URLSearchParams(location.search).get("state");
  setQuery({ state: state === "error" ? null : "error" }, true);
}

function acceptsKeys(target: EventTarget | null): boolean {
  if (!(target instanceof Element) || target.closest("[data-keys]") === null) return false;
  return (
    target.closest("input:not([type=checkbox]), textarea, select, dialog, [role=menu]") === null
  );
}

/** Run or pause the pipeline if its header offers it. */
function runOrPause(session: PipelineSession, actions: Actions): void {
  const summary = session.model?.summary;
  if (summary === undefined) return;
  const { primary, secondary, menu } = headerActions(summary);
  const action = [primary, secondary, ...menu].find((one) => one === "run" || one === "pause");
  if (action === "run" || action === "pause") void actions.pipeline(action);
}

/** Open the previous or next failure, wrapping around. */
export function goToFailure(
  { id }: PipelineSession,
  current: string | null,
  step: 1 | -1,
): Promise<void> {
  return goToMatch(findCauses(id, ROOT, MAX_NODES), "No commands have failed", current, step);
}

/** Open the next running command. */
function goToRunning({ id }: PipelineSession, current: string | null): Promise<void> {
  const running = api.tree(id, { root: ROOT, state: "running", limit: MAX_NODES });
  return goToMatch(
    running.then(({ nodes }) => nodes),
    "No commands are running",
    current,
    1,
  );
}

async function goToMatch(
  search: Promise<NodeView[]>,
  emptyMessage: string,
  current: string | null,
  step: 1 | -1,
): Promise<void> {
  let found: NodeView[];
  try {
    found = await search;
  } catch (error) {
    toast(messageOf(error), "error");
    return;
  }
  const paths = found.map((one) => one.path);
  if (paths.length === 0) {
    toast(emptyMessage);
    return;
  }
  const at = current === null ? -1 : paths.indexOf(current);
  const start = at < 0 && step < 0 ? 0 : at;
  const next = paths[(start + step + paths.length) % paths.length];
  if (next !== undefined) setQuery({ node: next, attempt: null });
}

async function copyDebug(session: PipelineSession, current: string | null): Promise<void> {
  if (current === null || session.model?.nodes.get(current)?.type !== "Exec") {
    toast("Select a command to debug");
    return;
  }
  await copyCommand(debugCommand(session.id, current));
}
