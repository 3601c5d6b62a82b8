import { useMutation } from "@tanstack/react-query";

import { agentApi } from "@/api/agent";
import { messageOf } from "@/api/client";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { KilledNote } from "@/components/KilledNote";
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
    <Dialog
      title="Stop the agent?"
      onClose={onClose}
      footer={
        <>
          <Button data-first onClick={onClose}>
            Cancel
          </Button>
          <Button variant="danger" disabled={stop.isPending} onClick={() => stop.mutate()}>
            Stop the agent
          </Button>
        </>
      }
    >
      {running === 0 ? <p>No commands are running.</p> : <KilledNote count={running} />}
      <p>
        Containers are removed; pipelines, output and data are kept. The agent serves this page,
        which reconnects when the next command, such as <code>conducto list</code>, starts the
        agent. Pipelines that are not paused then continue.
      </p>
      {stop.error === null ? null : (
        <p className="form-error" role="alert">
          {messageOf(stop.error)}
        </p>
      )}
    </Dialog>
  );
}
