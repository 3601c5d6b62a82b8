import { useEffect } from "react";

import type { ProgramStart } from "@/api/schema";
import { Button } from "@/components/Button";
import { Command } from "@/components/Command";
import { FormError } from "@/components/ConfirmDialog";
import { Dialog } from "@/components/Dialog";
import { navigate, pipelineUrl } from "@/lib/location";
import { plural } from "@/lib/time";
import { type BackfillPlan, useBackfillPlan } from "@/partitions/useBackfillPlan";
import { scriptName } from "@/programs/model/programIdentity";
import { PlanText } from "@/programs/launch/SidePanel";
import { useProgramStart } from "@/programs/launch/useProgramStart";

interface Props {
  /** The newest pipeline of the program. */
  pipeline: string;
  only: "missing" | "failed" | "stale";
  count: number;
  onClose: () => void;
}

/** Shows the size and the price of a backfill, and launches it. */
export function BackfillDialog({ pipeline, only, count, onClose }: Props) {
  const plan = useBackfillPlan(pipeline, only);
  const launch = useProgramStart(pipeline);
  const request = plan.data?.request ?? null;
  const launched = launch.current?.pipeline ?? null;
  useEffect(() => {
    if (launched !== null) navigate(pipelineUrl(launched));
  }, [launched]);
  return (
    <Dialog
      title={`Backfill ${plural(count, `${only} partition`)}`}
      onClose={onClose}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          {request === null ? null : (
            <Button
              variant="main"
              disabled={plan.data?.start?.plan == null || launch.isRunning}
              onClick={() => launch.begin({ ...request, action: "launch", run: true })}
            >
              {`Backfill ${count.toLocaleString("en")}`}
            </Button>
          )}
        </>
      }
    >
      <p>One pipeline with a child for each partition, at most ten commands at once.</p>
      {plan.data === undefined ? (
        <p role="status">{plan.error === null ? "Counting the commands…" : ""}</p>
      ) : (
        <PlanOrCommand found={plan.data} only={only} />
      )}
      {launch.isRunning ? <p role="status">Building the tree…</p> : null}
      <FormError error={plan.error ?? launch.error} />
      <Failure start={launch.isRunning ? null : launch.current} />
    </Dialog>
  );
}

function PlanOrCommand({ found, only }: { found: BackfillPlan; only: string }) {
  const { view, start } = found;
  if (start === null) {
    const script = view.call === null ? "FILE.py" : scriptName(view.call.script);
    const target = view.pipeline.pipeline.mode === "cloud" ? " --cloud" : "";
    return (
      <>
        <p className="muted">{`It cannot be launched from here: ${view.problem ?? ""}.`}</p>
        <Command
          text={`conducto backfill ${script} ${view.call?.function ?? ""} --${only}${target}`}
        />
      </>
    );
  }
  return (
    <>
      <PlanText start={start} isOutdated={false} />
      <Failure start={start} />
    </>
  );
}

function Failure({ start }: { start: ProgramStart | null }) {
  return start?.state === "failed" ? <p role="alert">{start.message}</p> : null;
}
