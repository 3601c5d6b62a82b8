import { useMutation } from "@tanstack/react-query";

import { agentApi } from "@/api/agent";
import { KilledNote } from "@/components/ActionPreview";
import { ConfirmDialog } from "@/components/ConfirmDialog";
import { toast } from "@/components/toasts";

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
      title="Stop the agent?"
      action="Stop the agent"
      disabled={stop.isPending}
      error={stop.error}
      onConfirm={() => stop.mutate()}
      onClose={onClose}
    >
      {running === 0 ? <p>No commands are running.</p> : <KilledNote count={running} />}
      <p>
        Containers are removed; pipelines, output and data are kept. The agent serves this page,
        which reconnects when the next command, such as <code>conducto list</code>, starts the
        agent. Pipelines that are not paused then continue.
      </p>
    </ConfirmDialog>
  );
}
