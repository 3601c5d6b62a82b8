import { useEffect, useRef } from "react";

import { api, messageOf } from "@/api/client";
import type { NodeView } from "@/api/schema";
import { toast } from "@/components/toasts";
import { copy } from "@/lib/clipboard";
import { debugCommand } from "@/lib/commands";
import { setQuery } from "@/lib/location";
import { currentSettings } from "@/lib/settings";
import { findCauses } from "@/live/finding";
import type { PipelineSession } from "@/live/session";
import { ROOT } from "@/model/paths";
import type { Orders } from "@/pages/pipeline/orders/useOrders";

interface Context {
  session: PipelineSession;
  current: string | null;
  targets: readonly string[];
  orders: Orders;
  onHelp: () => void;
}

/** Failures, and Execs that run, that the keys walk through. */
const MOST = 1000;

/**
 * The keys that work wherever the focus is, but for fields and dialogs.
 *
 * One after another: a key that follows a jump means the node that the jump leads to.
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
      if (isTyping(event.target) || !currentSettings().keys) return;
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
  "?": ({ onHelp }) => onHelp(),
  n: ({ session, current }) => goToFailure(session, current, 1),
  p: ({ session, current }) => goToFailure(session, current, -1),
  u: ({ session, current }) => goToRunning(session, current),
  f: () => toggleFailed(),
  r: ({ orders, targets }) => void orders.nodes("reset", targets),
  s: ({ orders, targets }) => void orders.toggleSkip(targets),
  k: ({ orders, targets }) => void orders.nodes("kill", targets),
  m: ({ orders, targets }) => orders.modify(targets),
  d: ({ session, current }) => void copyDebug(session, current),
  g: ({ session, orders }) =>
    void orders.whole(session.model?.summary.pipeline.armed === true ? "pause" : "run"),
};

/** Only what failed, or everything again. */
function toggleFailed(): void {
  const state = new URLSearchParams(location.search).get("state");
  setQuery({ state: state === "error" ? null : "error" }, true);
}

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return (
    target.closest("input:not([type=checkbox]), textarea, select, dialog, [role=menu]") !== null
  );
}

/** Open the failure before or after the current node, round the ends. */
export function goToFailure(
  { id }: PipelineSession,
  current: string | null,
  step: 1 | -1,
): Promise<void> {
  return goToOne(findCauses(id, ROOT, MOST), "Nothing has failed", current, step);
}

/** Open the next Exec that runs. */
function goToRunning({ id }: PipelineSession, current: string | null): Promise<void> {
  const running = api.tree(id, { root: ROOT, state: "running", limit: MOST });
  return goToOne(
    running.then(({ nodes }) => nodes),
    "Nothing runs now",
    current,
    1,
  );
}

async function goToOne(
  searched: Promise<NodeView[]>,
  none: string,
  current: string | null,
  step: 1 | -1,
): Promise<void> {
  let found: NodeView[];
  try {
    found = await searched;
  } catch (error) {
    toast(messageOf(error), "error");
    return;
  }
  const paths = found.map((one) => one.path);
  if (paths.length === 0) {
    toast(none);
    return;
  }
  const at = current === null ? -1 : paths.indexOf(current);
  const start = at < 0 && step < 0 ? 0 : at;
  const next = paths[(start + step + paths.length) % paths.length];
  if (next !== undefined) setQuery({ node: next, attempt: null });
}

async function copyDebug(session: PipelineSession, current: string | null): Promise<void> {
  if (current === null || session.model?.nodes.get(current)?.type !== "Exec") {
    toast("Choose an Exec to debug");
    return;
  }
  const command = debugCommand(session.id, current);
  toast((await copy(command)) ? `Copied: ${command}` : `Run: ${command}`);
}
