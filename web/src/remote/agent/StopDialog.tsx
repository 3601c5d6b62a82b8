import { agentApi } from "@/remote/api/agent";
import { KilledNote } from "@/components/ActionPreview";
import { RequestDialog } from "@/components/RequestDialog";
import { toast } from "@/components/toasts";

interface Props {
  /** Number of running commands in all pipelines. */
  running: number;
  onClose: () => void;
}

export function StopDialog({ running, onClose }: Props) {
  return (
    <RequestDialog
      danger
      title="Stop the agent?"
      action="Stop the agent"
      request={agentApi.stop}
      onDone={({ pid }) => {
        toast(`Stopping the agent (process ${pid})`);
        onClose();
      }}
      onClose={onClose}
    >
      {running === 0 ? <p>No commands are running.</p> : <KilledNote count={running} />}
      <p>
        Containers are removed; pipelines, output and data are kept. The agent serves this page,
        which reconnects when the next command, such as <code>conducto list</code>, starts the
        agent. Pipelines that are not paused then continue.
      </p>
    </RequestDialog>
  );
}
