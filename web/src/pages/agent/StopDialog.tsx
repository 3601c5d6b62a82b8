import { useMutation } from "@tanstack/react-query";

import { agentApi } from "@/api/agent";
import { messageOf } from "@/api/client";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { toast } from "@/components/toasts";
import { plural } from "@/lib/time";

interface Props {
  /** Execs that run now, in all pipelines. */
  running: number;
  onClose: () => void;
}

/** Asks whether the agent shall stop, and says what comes of it. */
export function StopDialog({ running, onClose }: Props) {
  const stop = useMutation({
    mutationFn: agentApi.stop,
    onSuccess: ({ pid }) => {
      toast(`The agent stops (process ${pid})`);
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
          <Button look="danger" disabled={stop.isPending} onClick={() => stop.mutate()}>
            Stop the agent
          </Button>
        </>
      }
    >
      {running === 0 ? (
        <p>Nothing runs now.</p>
      ) : (
        <p className="state-killed">
          {plural(running, "Exec")} {running === 1 ? "runs" : "run"} now and will be killed.
        </p>
      )}
      <p>
        Containers are removed; pipelines, output and data are kept. This page is served by the
        agent: it waits until the next command, such as <code>conducto list</code>, starts it again.
        Pipelines that are not paused go on then.
      </p>
      {stop.error === null ? null : (
        <p className="form-error" role="alert">
          {messageOf(stop.error)}
        </p>
      )}
    </Dialog>
  );
}
