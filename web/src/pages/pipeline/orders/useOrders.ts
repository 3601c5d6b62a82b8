import { useMemo, useState } from "react";

import { api, messageOf, type Order } from "@/api/client";
import type { Action, ControlResult } from "@/api/schema";
import { toast } from "@/components/toasts";
import { currentSettings } from "@/lib/settings";
import { plural } from "@/lib/time";
import type { PipelineSession } from "@/live/session";
import { undoOf } from "@/model/undo";

/** An order that touches more than one would expect, shown before it is given. */
export interface Question {
  order: Order;
  preview: ControlResult;
}

/** What a person can order on this page. */
export interface Orders {
  busy: boolean;
  question: Question | null;
  modifying: readonly string[] | null;
  /** Orders to the whole pipeline. */
  whole: (action: Action) => Promise<void>;
  /** An order to nodes; asks first when it ends or touches much. */
  nodes: (action: Action, paths: readonly string[]) => Promise<void>;
  /** Reset what failed below a node, as the server knows it, whatever the page has loaded. */
  resetFailed: (path: string) => Promise<void>;
  /** Skip, or unskip when all of them are skipped. */
  toggleSkip: (paths: readonly string[]) => Promise<void>;
  modify: (paths: readonly string[]) => void;
  confirm: () => Promise<void>;
  dismiss: () => void;
}

const PAST: Record<Action, string> = {
  run: "Running",
  pause: "Paused: what runs goes on to its end, nothing new starts",
  reset: "Reset",
  skip: "Skipped",
  unskip: "Unskipped",
  kill: "Killed",
  modify: "Modified",
  rebuild: "Rebuilding the images of",
  sleep: "Asleep: its containers are gone",
  wake: "Awake",
  archive: "Archived",
};
const WHOLE: ReadonlySet<Action> = new Set(["run", "pause", "sleep", "wake", "archive"]);
/** Orders to more Execs than this are asked about first. */
const UNASKED = 1;

export function useOrders(session: PipelineSession): Orders {
  const [busy, setBusy] = useState(false);
  const [question, setQuestion] = useState<Question | null>(null);
  const [modifying, setModifying] = useState<readonly string[] | null>(null);

  return useMemo(() => {
    /** Do something, show that it is under way, and say what went wrong. */
    const doing = async (work: () => Promise<void>) => {
      setBusy(true);
      try {
        await work();
      } catch (error) {
        toast(messageOf(error), "error");
      } finally {
        setBusy(false);
      }
    };
    const carryOut = async (order: Order): Promise<void> => {
      const wasSkipped = (path: string) => session.model?.nodes.get(path)?.skipped === true;
      const undo = undoOf(order, wasSkipped); // by what is known before it is given
      const result = await api.control(session.id, order);
      const takeBack = undo === null ? null : () => void doing(() => carryOut(undo));
      toast(saying(order.action, result), "info", takeBack);
      for (const note of result.notes) toast(note);
    };
    const nodes = (action: Action, paths: readonly string[]) =>
      doing(async () => {
        const order: Order = { action, paths: [...paths] };
        const preview = await api.control(session.id, { ...order, preview: true });
        if (needsConsent(action, preview)) setQuestion({ order, preview });
        else await carryOut(order);
      });
    return {
      busy,
      question,
      modifying,
      nodes,
      whole: (action) =>
        doing(async () => {
          if (action !== "sleep" && action !== "archive") {
            await carryOut({ action });
            return;
          }
          const preview = await api.control(session.id, { action, preview: true });
          if (preview.stopped > 0) setQuestion({ order: { action }, preview });
          else await carryOut({ action });
        }),
      resetFailed: (path) =>
        doing(async () => {
          const order: Order = { action: "reset", paths: [path], failed: true };
          const preview = await api.control(session.id, { ...order, preview: true });
          if (needsConsent("reset", preview)) setQuestion({ order, preview });
          else await carryOut(order);
        }),
      toggleSkip: (paths) => {
        const skipped = paths.every((path) => session.model?.nodes.get(path)?.skipped === true);
        return nodes(skipped ? "unskip" : "skip", paths);
      },
      modify: setModifying,
      confirm: () =>
        doing(async () => {
          if (question === null) return;
          setQuestion(null);
          await carryOut(question.order);
        }),
      dismiss: () => {
        setQuestion(null);
        setModifying(null);
      },
    };
  }, [session, busy, question, modifying]);
}

function needsConsent(action: Action, preview: ControlResult): boolean {
  return (
    (currentSettings().askAlways && preview.affected > 0) ||
    preview.affected > UNASKED ||
    preview.notes.length > 0 ||
    (preview.stopped > 0 && action !== "kill")
  );
}

function saying(action: Action, result: ControlResult): string {
  if (WHOLE.has(action)) return PAST[action];
  if (result.affected === 0) return "Nothing to do: no Exec there would change";
  return `${PAST[action]} ${plural(result.affected, "Exec")}`;
}
