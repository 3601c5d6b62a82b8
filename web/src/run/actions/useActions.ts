import { useMemo, useState } from "react";

import { type ActionRequest, api, failureOf } from "@/api/client";
import type { Action, ControlResult, PipelineSummary } from "@/api/schema";
import { toast } from "@/components/toasts";
import { currentSettings } from "@/lib/settings";
import { plural } from "@/lib/time";
import { withoutCommand } from "@/run/model/advice";
import { undoRequest } from "@/run/actions/model/undo";

const RESULTS = {
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

/** The pipeline that actions apply to. */
export interface ActionTarget {
  id: string;
  /** Its newest known summary. */
  summary: () => PipelineSummary | undefined;
  isSkipped: (path: string) => boolean;
  /** Called after an action. */
  onDone?: () => void;
}

/** An action that affects more than the user may expect, shown before it is executed. */
export interface Confirmation {
  request: ActionRequest;
  preview: ControlResult;
}

/** The actions that a user can request on this page. */
export interface Actions {
  busy: boolean;
  confirmation: Confirmation | null;
  modifying: readonly string[] | null;
  /** Apply an action to the whole pipeline. */
  pipeline: (action: Action) => Promise<void>;
  /**
   * Apply an action to nodes; ask first if it stops or affects many commands, or always with `ask`.
   */
  nodes: (action: Action, paths: readonly string[], ask?: boolean) => Promise<void>;
  /** Rerun every failed node below a path, including nodes that the page has not loaded. */
  rerunFailed: (path: string) => Promise<void>;
  /** Skip the nodes, or unskip them if all of them are skipped. */
  toggleSkip: (paths: readonly string[]) => Promise<void>;
  modify: (paths: readonly string[]) => void;
  confirm: () => Promise<void>;
  dismiss: () => void;
}

const PIPELINE_ACTIONS: ReadonlySet<Action> = new Set([
  "run",
  "pause",
  "cancel",
  "sleep",
  "wake",
  "archive",
]);
/** Actions on more commands than this need a confirmation. */
const MAX_UNCONFIRMED = 1;

/** Actions on the whole pipeline that stop its commands. */
const STOPPING: ReadonlySet<Action> = new Set(["cancel", "sleep", "archive"]);

export function useActions(target: ActionTarget): Actions {
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
        toast(failureOf(error), "error");
      } finally {
        setBusy(false);
      }
    };
    const { isSkipped } = target;
    const execute = async (request: ActionRequest): Promise<void> => {
      const undo = undoRequest(request, isSkipped); // needs the states before the action
      const result = await api.control(target.id, request);
      target.onDone?.();
      const undoAction = undo === null ? null : () => void run(() => execute(undo));
      toast(resultText(request.action, result), "info", undoAction);
      for (const note of result.notes) toast(withoutCommand(note));
    };
    const confirmOrExecute = (request: ActionRequest, ask = false) =>
      run(async () => {
        const preview = await api.control(target.id, { ...request, preview: true });
        if (needsConfirmation(preview, ask)) setConfirmation({ request, preview });
        else await execute(request);
      });
    const nodes = (action: Action, paths: readonly string[], ask = false) =>
      confirmOrExecute({ action, paths: [...paths] }, ask);
    return {
      busy,
      confirmation,
      modifying,
      nodes,
      pipeline: (action) =>
        STOPPING.has(action) ? confirmOrExecute({ action }) : run(() => execute({ action })),
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
  }, [target, busy, confirmation, modifying]);
}

/** Number of other commands that a rerun also starts, because the pipeline is paused. */
export function othersStarted({ summary }: ActionTarget): number {
  const known = summary();
  return known?.pipeline.armed === false ? known.counts.pending : 0;
}

function needsConfirmation(preview: ControlResult, ask: boolean): boolean {
  return (
    ((ask || currentSettings().alwaysConfirm) && preview.affected > 0) ||
    preview.affected > MAX_UNCONFIRMED ||
    preview.notes.length > 0 ||
    preview.stopped > 0
  );
}

function resultText(action: Action, result: ControlResult): string {
  if (PIPELINE_ACTIONS.has(action)) return RESULTS[action];
  if (result.affected === 0) return "Nothing changed: the action does not apply to these commands";
  return `${RESULTS[action]} ${plural(result.affected, "command")}`;
}
