import { useMutation } from "@tanstack/react-query";
import { useState } from "react";

import { api, failureOf } from "@/api/client";
import type { Action, PipelineSummary } from "@/api/schema";
import { KilledNote } from "@/components/ActionPreview";
import bulkStyles from "@/components/Bulk.module.css";
import { Button } from "@/components/Button";
import { ConfirmDialog } from "@/components/ConfirmDialog";
import { toast } from "@/components/toasts";
import { currentSettings } from "@/lib/settings";
import { plural } from "@/lib/time";

/** Actions on several pipelines. */
type BulkAction = Extract<Action, "sleep" | "wake" | "archive">;

const VERBS: Record<BulkAction, string> = { sleep: "Sleep", wake: "Wake", archive: "Archive" };
const RESULTS: Record<BulkAction, string> = {
  sleep: "sleeping",
  wake: "woken",
  archive: "archived",
};
/** The lifecycle after each action. */
const LIFECYCLE_AFTER = { sleep: "sleeping", wake: "active", archive: "archived" } as const;
const EFFECTS: Record<BulkAction, string> = {
  sleep: "Their containers are removed; everything else is kept. You can wake them later.",
  wake: "They stay paused until someone runs them.",
  archive:
    "They are hidden from the list and their containers are removed. You can wake them later.",
};

interface Props {
  pipelines: readonly PipelineSummary[];
  onDone: () => void;
}

/** Actions on the selected pipelines. Asks first if it would kill running commands. */
export function BulkBar({ pipelines, onDone }: Props) {
  const [confirmation, setConfirmation] = useState<BulkAction | null>(null);
  const running = pipelines.reduce((sum, one) => sum + one.counts.running, 0);
  const mutation = useMutation({
    mutationFn: (action: BulkAction) => applyToAll(action, pipelines),
    onSettled: onDone,
  });
  const start = (action: BulkAction) => {
    const ends = action !== "wake" && running > 0;
    if (ends || currentSettings().alwaysConfirm) setConfirmation(action);
    else mutation.mutate(action);
  };
  return (
    <div className={bulkStyles.bar} role="toolbar" aria-label="Selected pipelines">
      <strong className="number">{`${plural(pipelines.length, "pipeline")} selected`}</strong>
      {(["sleep", "wake", "archive"] as const).map((action) => (
        <Button key={action} disabled={mutation.isPending} onClick={() => start(action)}>
          {VERBS[action]}
        </Button>
      ))}
      <Button variant="quiet" onClick={onDone}>
        Clear
      </Button>
      {confirmation === null ? null : (
        <ConfirmDialog
          title={`${VERBS[confirmation]} ${plural(pipelines.length, "pipeline")}?`}
          action={`${VERBS[confirmation]} ${plural(pipelines.length, "pipeline")}`}
          onConfirm={() => {
            setConfirmation(null);
            mutation.mutate(confirmation);
          }}
          onClose={() => setConfirmation(null)}
        >
          {confirmation === "wake" ? null : <KilledNote count={running} />}
          <p>{EFFECTS[confirmation]}</p>
        </ConfirmDialog>
      )}
    </div>
  );
}

/**
 * Apply an action to each pipeline and report the result. Undo wakes only the pipelines that
 * changed.
 */
async function applyToAll(
  action: BulkAction,
  pipelines: readonly PipelineSummary[],
): Promise<void> {
  const results = await Promise.allSettled(
    pipelines.map((one) => api.control(one.pipeline.id, { action })),
  );
  const succeeded = pipelines.filter((_, place) => results[place]?.status === "fulfilled");
  if (succeeded.length > 0) {
    const changed = succeeded.filter((one) => one.pipeline.lifecycle !== LIFECYCLE_AFTER[action]);
    const undo =
      action === "wake" || changed.length === 0 ? null : () => void applyToAll("wake", changed);
    toast(`${plural(succeeded.length, "pipeline")} ${RESULTS[action]}`, "info", undo);
  }
  for (const answer of results) {
    if (answer.status === "rejected") toast(failureOf(answer.reason), "error");
  }
}
