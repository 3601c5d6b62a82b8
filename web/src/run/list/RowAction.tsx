import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { api, failureOf } from "@/api/client";
import type { PipelineSummary } from "@/api/schema";
import { Button } from "@/components/Button";
import { ConfirmDialog } from "@/components/ConfirmDialog";
import { Icon, type IconName } from "@/components/Icon";
import { toast } from "@/components/toasts";
import { plural } from "@/lib/time";
import { pipelineState } from "@/run/model/pipelineStatus";
import { failures } from "@/run/model/states";

type Kind = "run" | "rerunFailed" | "cancel";

const LABELS: Record<Kind, string> = {
  run: "Run",
  rerunFailed: "Rerun failed",
  cancel: "Cancel",
};

const ICONS: Record<Kind, IconName> = { run: "play", rerunFailed: "rerun", cancel: "close" };

/** The main action of a pipeline's state, if it has one. */
function kindOf(summary: PipelineSummary): Kind | null {
  if (summary.pipeline.lifecycle !== "active") return null;
  switch (pipelineState(summary)) {
    case "error":
    case "killed":
      return failures(summary.counts) > 0 ? "rerunFailed" : null;
    case "pending":
    case "scheduled":
    case "paused":
      return summary.counts.pending > 0 ? "run" : null;
    case "running":
    case "queued":
      return "cancel";
    default:
      return null;
  }
}

/** The API has no rerun: the failed commands are reset, and a paused pipeline is run. */
async function execute(kind: Kind, { pipeline }: PipelineSummary): Promise<void> {
  if (kind === "cancel") await api.control(pipeline.id, { action: "cancel" });
  if (kind === "rerunFailed") await api.control(pipeline.id, { action: "reset", failed: true });
  const isRun = kind === "run" || (kind === "rerunFailed" && !pipeline.armed);
  if (isRun) await api.control(pipeline.id, { action: "run" });
}

/** A button for the main action. Asks first if it kills commands or affects several. */
export function RowAction({ summary }: { summary: PipelineSummary }) {
  const [asking, setAsking] = useState(false);
  const client = useQueryClient();
  const kind = kindOf(summary);
  const mutation = useMutation({
    mutationFn: (chosen: Kind) => execute(chosen, summary),
    onSuccess: (_, chosen) => toast(`${LABELS[chosen]}: ${summary.pipeline.title}`, "info"),
    onError: (error) => toast(failureOf(error), "error"),
    onSettled: () => client.invalidateQueries({ queryKey: ["pipelines"] }),
  });
  if (kind === null) return null;
  const start = () => {
    if (needsConfirmation(kind, summary)) setAsking(true);
    else mutation.mutate(kind);
  };
  return (
    <>
      <Button className="button-small" disabled={mutation.isPending} onClick={start}>
        <Icon name={ICONS[kind]} />
        {LABELS[kind]}
      </Button>
      {asking ? (
        <Confirmation
          kind={kind}
          summary={summary}
          onConfirm={() => {
            setAsking(false);
            mutation.mutate(kind);
          }}
          onClose={() => setAsking(false)}
        />
      ) : null}
    </>
  );
}

function needsConfirmation(kind: Kind, { counts, pipeline }: PipelineSummary): boolean {
  if (kind === "cancel") return counts.running > 0;
  if (kind === "run") return false;
  return failures(counts) > 1 || (!pipeline.armed && counts.pending > 0);
}

interface ConfirmationProps {
  kind: Kind;
  summary: PipelineSummary;
  onConfirm: () => void;
  onClose: () => void;
}

function Confirmation({ kind, summary, onConfirm, onClose }: ConfirmationProps) {
  const { counts, pipeline } = summary;
  const isCancel = kind === "cancel";
  return (
    <ConfirmDialog
      title={
        isCancel
          ? `Cancel ${pipeline.title}?`
          : `Rerun ${plural(failures(counts), "failed command")}?`
      }
      action={LABELS[kind]}
      danger={isCancel}
      onConfirm={onConfirm}
      onClose={onClose}
    >
      {isCancel ? (
        <p>
          {plural(counts.running, "running command")} will be killed, and no others start. Finished
          commands keep their results. Run resumes the rest later.
        </p>
      ) : pipeline.armed || counts.pending === 0 ? null : (
        <p>The pipeline is paused. {plural(counts.pending, "pending command")} will also run.</p>
      )}
    </ConfirmDialog>
  );
}
