import { agentApi } from "@/remote/api/agent";
import { KilledNote } from "@/components/ActionPreview";
import { RequestDialog } from "@/components/RequestDialog";
import { toast } from "@/components/toasts";
import { AGENT } from "@/remote/texts/agent";

interface Props {
  /** Number of running commands in all pipelines. */
  running: number;
  onClose: () => void;
}

export function StopDialog({ running, onClose }: Props) {
  return (
    <RequestDialog
      danger
      title={AGENT.stopTitle}
      action={AGENT.stopAction}
      request={agentApi.stop}
      onDone={({ pid }) => {
        toast(`Stopping the agent (process ${pid})`);
        onClose();
      }}
      onClose={onClose}
    >
      {running === 0 ? <p>{AGENT.noneRunning}</p> : <KilledNote count={running} />}
      <p>
        {AGENT.stopEffect}
        <code>conducto list</code>
        {AGENT.startsAgain}
      </p>
    </RequestDialog>
  );
}
