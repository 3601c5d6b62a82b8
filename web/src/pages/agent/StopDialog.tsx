import { useMutation } from "@tanstack/react-query";

import { agentApi } from "@/api/agent";
import { KilledNote } from "@/components/ActionPreview";
import { ConfirmDialog } from "@/components/ConfirmDialog";
import { toast } from "@/components/toasts";
import { AGENT } from "@/strings/agent";

interface Props {
  /** Number of running commands in all pipelines. */
  running: number;
  onClose: () => void;
}

export function StopDialog({ running, onClose }: Props) {
  const stop = useMutation({
    mutationFn: agentApi.stop,
    onSuccess: ({ pid }) => {
      toast(`Stopping the agent (process ${pid})`);
      onClose();
    },
  });
  return (
    <ConfirmDialog
      danger
      title={AGENT.stopTitle}
      action={AGENT.stopAction}
      disabled={stop.isPending}
      error={stop.error}
      onConfirm={() => stop.mutate()}
      onClose={onClose}
    >
      {running === 0 ? <p>{AGENT.noneRunning}</p> : <KilledNote count={running} />}
      <p>
        {AGENT.stopEffect}
        <code>conducto list</code>
        {AGENT.startsAgain}
      </p>
    </ConfirmDialog>
  );
}
