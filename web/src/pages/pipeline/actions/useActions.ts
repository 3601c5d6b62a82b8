import { useMemo, useState } from "react";

import { type ActionRequest, api, messageOf } from "@/api/client";
import type { Action, ControlResult } from "@/api/schema";
import { toast } from "@/components/toasts";
import { currentSettings } from "@/lib/settings";
import { plural } from "@/lib/time";
import type { PipelineSession } from "@/live/session";
import { undoRequest } from "@/model/undo";

/** An action of the API, or a rerun: reset and run. */
export type PageAction = Action | "rerun";

interface PageRequest extends Omit<ActionRequest, "action"> {
  action: PageAction;
}

/** An action that affects more than the user may expect, shown before it is executed. */
export interface Confirmation {
  request: PageRequest;
  preview: ControlResult;
}

/** The actions that a user can request on this page. */
export interface Actions {
  busy: boolean;
  confirmation: Confirmation | null;
  modifying: readonly string[] | null;
  /** Apply an action to the whole pipeline. */
  pipeline: (action: Action) => Promise<void>;
  /** Apply an action to nodes; ask first if it stops or affects many commands. */
  nodes: (action: PageAction, paths: readonly string[]) => Promise<void>;
  /** Rerun every failed node below a path, including nodes that the page has not loaded. */
  rerunFailed: (path: string) => Promise<void>;
  /** Skip the nodes, or unskip them if all of them are skipped. */
  toggleSkip: (paths: readonly string[]) => Promise<void>;
  modify: (paths: readonly string[]) => void;
  confirm: () => Promise<void>;
  dismiss: () => void;
}

const RESULTS: Record<PageAction, string> = {
  run: "Running",
  pause: "Paused. Running commands will finish; no new ones start",
  cancel: "Cancelled",
  reset: "Reset",
  rerun: "Rerunning",
  skip: "Skipped",
  unskip: "Unskipped",
  kill: "Killed",
  modify: "Modified",
  rebuild: "Rebuilding the images of",
  sleep: "Sleeping. The containers were removed",
  wake: "Awake",
  archive: "Archived",
};
const PIPELINE_ACTIONS: ReadonlySet<PageAction> = new Set([
  "run",
  "pause",
  "cancel",
  "sleep",
  "wake",
  "archive",
]);
/** Actions on more commands than this need a confirmation. */
const MAX_UNCONFIRMED = 1;

export function useActions(session: PipelineSession): Actions {
  const [busy, setBusy] = useState(false);
  const [confirmation, setConfirmation] = useState<Confirmation | null>(null);
  const [modifying, setModifying] = useState<readonly string[] | null>(null);

  return useMemo(() => {
    /** Show that work is in progress, and report its errors. */
    const run = async (work: () => Promise<void>) => {
      setBusy(true);
      try {
        await work();
      } catch (error) {
        toast(messageOf(error), "error");
      } finally {
        setBusy(false);
      }
    };
    const isSkipped = (path: string) => session.model?.nodes.get(path)?.skipped === true;
    const execute = async (request: PageRequest): Promise<void> => {
      const undo = undoRequest(toApi(request), isSkipped); // needs the states before the action
      const result = await executeAction(session, request);
      const undoAction = undo === null ? null : () => void run(() => execute(undo));
      toast(resultText(request.action, result), "info", undoAction);
      for (const note of result.notes) toast(note);
    };
    const confirmOrExecute = (request: PageRequest) =>
      run(async () => {
        const preview = await previewAction(session, request);
        if (needsConfirmation(request.action, preview)) setConfirmation({ request, preview });
        else await execute(request);
      });
    const nodes = (action: PageAction, paths: readonly string[]) =>
      confirmOrExecute({ action, paths: [...paths] });
    return {
      busy,
      confirmation,
      modifying,
      nodes,
      pipeline: (action) =>
        run(async () => {
          if (action === "sleep" || action === "archive") {
            const preview = await previewAction(session, { action });
            if (preview.stopped > 0) {
              setConfirmation({ request: { action }, preview });
              return;
            }
          }
          await execute({ action });
        }),
      rerunFailed: (path) => confirmOrExecute({ action: "rerun", paths: [path], failed: true }),
      toggleSkip: (paths) => nodes(paths.every(isSkipped) ? "unskip" : "skip", paths),
      modify: setModifying,
      confirm: () =>
        run(async () => {
          if (confirmation === null) return;
          setConfirmation(null);
          await execute(confirmation.request);
        }),
      dismiss: () => {
        setConfirmation(null);
        setModifying(null);
      },
    };
  }, [session, busy, confirmation, modifying]);
}

/** The API has no rerun: a reset node of a running pipeline runs; a paused pipeline is started. */
function toApi({ action, ...rest }: PageRequest): ActionRequest {
  return { action: action === "rerun" ? "reset" : action, ...rest };
}

function startsPipeline(session: PipelineSession, { action }: PageRequest): boolean {
  return action === "rerun" && session.model?.summary.pipeline.armed === false;
}

export async function executeAction(
  session: PipelineSession,
  request: PageRequest,
): Promise<ControlResult> {
  const result = await api.control(session.id, toApi(request));
  if (startsPipeline(session, request)) await api.control(session.id, { action: "run" });
  return result;
}

async function previewAction(
  session: PipelineSession,
  request: PageRequest,
): Promise<ControlResult> {
  const preview = await api.control(session.id, { ...toApi(request), preview: true });
  const pending = session.model?.summary.counts.pending ?? 0;
  if (!startsPipeline(session, request) || pending === 0) return preview;
  const note = `The pipeline is paused. ${plural(pending, "pending command")} will also run.`;
  return { ...preview, notes: [...preview.notes, note] };
}

function needsConfirmation(action: PageAction, preview: ControlResult): boolean {
  return (
    (currentSettings().alwaysConfirm && preview.affected > 0) ||
    preview.affected > MAX_UNCONFIRMED ||
    preview.notes.length > 0 ||
    (preview.stopped > 0 && action !== "kill")
  );
}

function resultText(action: PageAction, result: ControlResult): string {
  if (PIPELINE_ACTIONS.has(action)) return RESULTS[action];
  if (result.affected === 0) return "Nothing changed: the action does not apply to these commands";
  return `${RESULTS[action]} ${plural(result.affected, "command")}`;
}
