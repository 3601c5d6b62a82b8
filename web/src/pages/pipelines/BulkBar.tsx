import { useMutation } from "@tanstack/react-query";
import { useState } from "react";

import { api, messageOf } from "@/api/client";
import type { Action, PipelineSummary } from "@/api/schema";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { toast } from "@/components/toasts";
import { currentSettings } from "@/lib/settings";
import { plural } from "@/lib/time";

/** What may be ordered of several pipelines at once, and how that is said. */
type BulkAction = Extract<Action, "sleep" | "wake" | "archive">;

const VERBS: Record<BulkAction, string> = { sleep: "Sleep", wake: "Wake", archive: "Archive" };
const DONE: Record<BulkAction, string> = {
  sleep: "put to sleep",
  wake: "woken",
  archive: "archived",
};
/** How a pipeline stands after the order. */
const AFTER = { sleep: "sleeping", wake: "active", archive: "archived" } as const;
const EFFECT: Record<BulkAction, string> = {
  sleep: "Their containers go; all else is kept, and they can be woken.",
  wake: "They do not run before somebody runs them.",
  archive: "They leave the list, and their containers go; they can be woken.",
};

interface Props {
  pipelines: readonly PipelineSummary[];
  onDone: () => void;
}

/** Orders to all chosen pipelines. What ends commands that run is asked about first. */
export function BulkBar({ pipelines, onDone }: Props) {
  const [question, setQuestion] = useState<BulkAction | null>(null);
  const running = pipelines.reduce((sum, one) => sum + one.counts.running, 0);
  const order = useMutation({
    mutationFn: (action: BulkAction) => orderAll(action, pipelines),
    onSettled: onDone,
  });
  const ask = (action: BulkAction) => {
    const ends = action !== "wake" && running > 0;
    if (ends || currentSettings().askAlways) setQuestion(action);
    else order.mutate(action);
  };
  return (
    <div className="bulk" role="toolbar" aria-label="Selected pipelines">
      <strong className="number">{plural(pipelines.length, "pipeline")} selected</strong>
      {(["sleep", "wake", "archive"] as const).map((action) => (
        <Button key={action} disabled={order.isPending} onClick={() => ask(action)}>
          {VERBS[action]}
        </Button>
      ))}
      <Button look="quiet" onClick={onDone}>
        Clear
      </Button>
      {question === null ? null : (
        <Dialog
          title={`${VERBS[question]} ${plural(pipelines.length, "pipeline")}?`}
          onClose={() => setQuestion(null)}
          footer={
            <>
              <Button onClick={() => setQuestion(null)}>Cancel</Button>
              <Button
                look="main"
                data-first
                onClick={() => {
                  setQuestion(null);
                  order.mutate(question);
                }}
              >
                {VERBS[question]} {plural(pipelines.length, "pipeline")}
              </Button>
            </>
          }
        >
          {question !== "wake" && running > 0 ? (
            <p className="state-killed">
              {plural(running, "Exec")} of them {running === 1 ? "runs" : "run"} now and will be
              ended.
            </p>
          ) : null}
          <p>{EFFECT[question]}</p>
        </Dialog>
      )}
    </div>
  );
}

/**
 * Give the order to each, and say how that went. What was put away can be taken back; what was away
 * before stays so.
 */
async function orderAll(action: BulkAction, pipelines: readonly PipelineSummary[]): Promise<void> {
  const answers = await Promise.allSettled(
    pipelines.map((one) => api.control(one.pipeline.id, { action })),
  );
  const good = pipelines.filter((_, place) => answers[place]?.status === "fulfilled");
  if (good.length > 0) {
    const moved = good.filter((one) => one.pipeline.lifecycle !== AFTER[action]);
    const undo =
      action === "wake" || moved.length === 0 ? null : () => void orderAll("wake", moved);
    toast(`${plural(good.length, "pipeline")} ${DONE[action]}`, "info", undo);
  }
  for (const answer of answers) {
    if (answer.status === "rejected") toast(messageOf(answer.reason), "error");
  }
}
